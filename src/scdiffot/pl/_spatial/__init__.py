"""Plots of tissue slices."""
