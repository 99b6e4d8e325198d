"""All plots by name, called with required arguments only, and helpers to inspect axes."""

from __future__ import annotations

import numpy as np
from matplotlib.collections import EllipseCollection

import scdiffot as sdo


def every_plot(paths):
    """Return functions of the data and further options, by name."""
    return {
        "history": lambda a, **o: sdo.pl.history(a, **o),
        "population": lambda a, **o: sdo.pl.population(a, paths, **o),
        "velocity": lambda a, **o: sdo.pl.velocity(a, **o),
        "trajectories": lambda a, **o: sdo.pl.trajectories(a, paths, **o),
        "trajectory_genes": lambda a, **o: sdo.pl.trajectory_genes(a, **o),
        "regulation": lambda a, **o: sdo.pl.regulation(a, **o),
        "growth_genes": lambda a, **o: sdo.pl.growth_genes(a, **o),
        "perturb": lambda a, **o: sdo.pl.perturb(a, **o),
        "perturb_screen": lambda a, **o: sdo.pl.perturb_screen(a, **o),
        "response": lambda a, **o: sdo.pl.response(a, **o),
        "response_evaluation": lambda a, **o: sdo.pl.response_evaluation(a, "energy_distance", **o),
        "growth": lambda a, **o: sdo.pl.growth(a, **o),
        "validation": lambda a, **o: sdo.pl.validation(a, **o),
        "fate": lambda a, **o: sdo.pl.fate(a, **o),
        "ancestry": lambda a, **o: sdo.pl.ancestry(a, **o),
        "landscape": lambda a, **o: sdo.pl.landscape(a, times=[1.0], paths=paths, **o),
        "slices": lambda a, **o: sdo.pl.slices(a, "label", spatial_key="X_umap", overlay=True, **o),
    }


def count_artists(ax):
    """Count lines, collections, patches and images on axes."""
    return len(ax.lines) + len(ax.collections) + len(ax.patches) + len(ax.images)


def spot_collections(ax):
    """Return the collections of spots of a tissue on axes."""
    return [c for c in ax.collections if isinstance(c, EllipseCollection)]


def spot_centers(ax):
    """Return the centres of all spots on axes, shape ``(n, 2)``."""
    return np.concatenate([np.asarray(c.get_offsets()) for c in spot_collections(ax)])


def sort_points(points):
    """Sort points lexicographically, for comparisons that ignore the order."""
    return points[np.lexsort(points.T)]
