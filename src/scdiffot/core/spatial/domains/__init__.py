"""Neighbourhoods and domains of a tissue."""
