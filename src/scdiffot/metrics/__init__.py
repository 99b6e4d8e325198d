"""Distances between weighted point clouds and scores of responses and fates, on arrays."""

from __future__ import annotations

from scdiffot.core.scores.cloud_scores import (
    energy_distance,
    feature_correlation_r,
    marginal_distance,
)
from scdiffot.core.scores.distances import mass_error, mmd, noise_floor, wasserstein
from scdiffot.core.scores.enrichment import enrichment
from scdiffot.core.scores.mean_scores import (
    l2_of_means,
    pearson_of_means,
    r2_of_means,
    response_r2,
    unexplained,
)

from ._clonal_fate import clonal_fate

__all__ = [
    "clonal_fate",
    "energy_distance",
    "enrichment",
    "feature_correlation_r",
    "l2_of_means",
    "marginal_distance",
    "mass_error",
    "mmd",
    "noise_floor",
    "pearson_of_means",
    "r2_of_means",
    "response_r2",
    "unexplained",
    "wasserstein",
]
