"""Storing results in an AnnData, and reading them back."""
