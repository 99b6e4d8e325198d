"""Integration of the fitted dynamics."""
