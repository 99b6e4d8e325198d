"""Plots of fates and ancestors."""
