"""Plots of genes."""
