"""Plots of time courses."""
