"""Plots of responses to treatments."""
