"""Alignment of tissue slices."""
