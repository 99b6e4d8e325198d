"""Points of an interpolation between two slices, as mixtures of their spots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .slice_coupling import SliceCoupling


def displacement_points(
    coupling: SliceCoupling, n: int, m: int, t: float, masses: tuple[float, float]
) -> tuple[Any, Any, Any]:
    """Return a point for every pair, and for every unmatched mass of a spot.

    Parameters
    ----------
    coupling
        Coupling of the slices.
    n, m
        Numbers of spots of both slices.
    t
        Interpolation parameter, above 0 and below 1.
    masses
        Total masses of both slices.

    Returns
    -------
    Shares of the spots of the first and of the second slice, and masses of the points.

    See Also
    --------
    barycentric_points : One point per spot.
    scdiffot.core.spatial.between.interpolation.interpolate_pair : The virtual slice.
    """
    source_rows, target_rows = (
        np.flatnonzero(coupling.unmatched_source),
        np.flatnonzero(coupling.unmatched_target),
    )
    n_pairs, first, second = len(coupling.rows), (1 - t) * masses[0], t * masses[1]
    weights = np.concatenate(
        [
            coupling.shares * (first + second),
            first * coupling.unmatched_source[source_rows],
            second * coupling.unmatched_target[target_rows],
        ]
    )
    size = len(weights)
    source = sparse_matrix(
        np.concatenate([np.full(n_pairs, 1 - t), np.ones(len(source_rows))]),
        np.arange(n_pairs + len(source_rows)),
        np.concatenate([coupling.rows, source_rows]),
        (size, n),
    )
    target = sparse_matrix(
        np.concatenate([np.full(n_pairs, t), np.ones(len(target_rows))]),
        np.concatenate([np.arange(n_pairs), np.arange(n_pairs + len(source_rows), size)]),
        np.concatenate([coupling.cols, target_rows]),
        (size, m),
    )
    return source, target, weights


def barycentric_points(
    coupling: SliceCoupling, n: int, m: int, t: float, masses: tuple[float, float]
) -> tuple[Any, Any, Any]:
    """Return a point for every spot of both slices, on the line to its barycentre.

    Parameters
    ----------
    coupling
        Coupling of the slices.
    n, m
        Numbers of spots of both slices.
    t
        Interpolation parameter, above 0 and below 1.
    masses
        Total masses of both slices.

    Returns
    -------
    Shares of the spots of the first and of the second slice, and masses of the points.

    See Also
    --------
    displacement_points : One point per pair.
    scdiffot.core.spatial.between.interpolation.interpolate_pair : The virtual slice.
    """
    from scipy import sparse

    plan = sparse_matrix(coupling.shares, coupling.rows, coupling.cols, (n, m))
    forward_means, source_unmatched = _normalise_rows(plan)
    backward_means, target_unmatched = _normalise_rows(plan.T.tocsr())
    source = sparse.vstack(
        [sparse.diags_array(np.where(source_unmatched, 1.0, 1 - t)), (1 - t) * backward_means],
        format="csr",
    )
    target = sparse.vstack(
        [t * forward_means, sparse.diags_array(np.where(target_unmatched, 1.0, t))], format="csr"
    )
    weights = np.concatenate([np.full(n, (1 - t) * masses[0] / n), np.full(m, t * masses[1] / m)])
    return source, target, weights


def sparse_matrix(
    values: np.ndarray, rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]
) -> Any:
    """Build a sparse matrix from values, rows and columns.

    See Also
    --------
    displacement_points : Points as mixtures of spots.
    """
    from scipy import sparse

    return sparse.csr_array((values, (rows, cols)), shape=shape)


def _normalise_rows(plan: Any) -> tuple[Any, np.ndarray]:
    """Normalise the rows of a plan to sum one; return the mask of empty rows too."""
    from scipy import sparse

    mass = np.asarray(plan.sum(axis=1)).ravel()
    is_empty = mass == 0
    return sparse.diags_array(
        np.where(is_empty, 0.0, 1 / np.where(is_empty, 1.0, mass))
    ) @ plan, is_empty
