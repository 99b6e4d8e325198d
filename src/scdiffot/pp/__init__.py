"""Prepare data for a fit: representations with a decoder to genes, growth scores, surroundings."""

from __future__ import annotations

from ._autoencoder import autoencoder
from ._score_growth import score_growth
from ._spatial_embedding import spatial_embedding

__all__ = ["autoencoder", "score_growth", "spatial_embedding"]
