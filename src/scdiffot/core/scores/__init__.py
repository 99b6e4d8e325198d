"""Distances, scores and tests of populations."""
