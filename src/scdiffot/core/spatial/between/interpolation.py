"""Virtual slices between two measured slices, and the distance between slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .interpolated_points import barycentric_points, displacement_points, sparse_matrix
from .place_kernel import joint_kernel, kernel_width, smoothing_kernel
from .slice_coupling import SliceCoupling, couple_slices, scale_of
from .subsampling import lloyd_step, sample_spots

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class VirtualSlice:
    """Virtual spots between two slices, as mixtures of measured spots.

    Parameters
    ----------
    positions
        Positions, shape ``(k, 2)`` or ``(k, 3)``.
    weights
        Masses, shape ``(k,)``.
    source
        Share of each spot of the first slice in a virtual spot, shape ``(k, n)``.
    target
        Share of each spot of the second slice, shape ``(k, m)``. The shares of a virtual spot in
        both slices sum to one, so that its expression is ``source @ first + target @ second``.
    pieces
        The virtual spots before subsampling and smoothing; None for a measured slice.

    See Also
    --------
    interpolate_pair : Interpolate between two slices.
    whole_slice : Represent a measured slice.
    """

    positions: np.ndarray
    weights: np.ndarray
    source: csr_array
    target: csr_array
    pieces: VirtualSlice | None = None

    def mix(self, first: Any, second: Any) -> Any:
        """Mix values of the spots of both slices, arrays or sparse matrices."""
        return self.source @ first + self.target @ second

    def labels(
        self, x: np.ndarray, y: np.ndarray, first: np.ndarray, second: np.ndarray
    ) -> np.ndarray:
        """Estimate the shares of labels around the virtual spots, from positions alone.

        A virtual spot is not a copy of measured spots, and its deviation from its neighbours is
        unknown. The bandwidth of the kernel minimises the leave-one-out error of the labels of both
        slices.

        Parameters
        ----------
        x, y
            Positions of the spots of both slices in one frame, shapes ``(n, 2)`` and ``(m, 2)``, or
            with three columns.
        first, second
            Indicators of their labels, shapes ``(n, L)`` and ``(m, L)``; zero rows have no label.

        Returns
        -------
        Shares, shape ``(k, L)``. Their sum is below one near spots without labels.
        """
        pieces = self.pieces
        if pieces is None:
            return np.asarray(self.mix(first, second))
        unit = median_spacing(x, y)
        masses = np.concatenate([pieces.weights @ pieces.source, pieces.weights @ pieces.target])
        width = kernel_width(np.vstack([x, y]), masses, np.vstack([first, second]), unit)
        kernel = smoothing_kernel(pieces.positions, pieces.weights, self.positions, width, unit)
        return np.asarray(kernel @ pieces.mix(first, second))


def interpolate_pair(
    x: np.ndarray,
    fx: np.ndarray,
    y: np.ndarray,
    fy: np.ndarray,
    at: float,
    *,
    masses: tuple[float, float] | None = None,
    n_obs: int | None = None,
    form: Literal["displacement", "barycentric"] = "displacement",
    smoothing: float = 1.0,
    spatial_weight: float = 0.9,
    partial: bool = True,
    coupling: SliceCoupling | None = None,
) -> VirtualSlice:
    r"""Interpolate a virtual slice between two slices in one frame.

    Spots move on straight lines along the optimal coupling of :func:`couple_slices`. Each pair
    :math:`(i, j)` is a virtual spot at :math:`(1 - t) x_i + t y_j` (displacement interpolation
    :cite:p:`McCann1997`), or each spot of both slices moves towards the barycentre of its partners.
    Tissue without a counterpart keeps its position and loses its mass linearly. Masses are linear
    in :math:`t`.

    Parameters
    ----------
    x, fx
        Positions, shape ``(n, 2)`` or ``(n, 3)``, and states, shape ``(n, d)``, of the first slice.
    y, fy
        Positions and states of the second slice.
    at
        Interpolation parameter t, above 0 and below 1.
    masses
        Total masses of both slices; their numbers of spots by default.
    n_obs
        Number of virtual spots; between those of the two slices by default.
    form
        ``"displacement"`` or ``"barycentric"``.
    smoothing
        Bandwidth, in distances between neighbouring spots, of the Gaussian kernel over position and
        state that averages the expression of neighbouring virtual spots; at least the distance to
        the nearest of them. 0 for no smoothing.
    spatial_weight
        Weight of the positions in the cost of the coupling and in the kernel.
    partial
        As in :func:`couple_slices`.
    coupling
        A coupling computed before.

    Returns
    -------
    The virtual slice. Its spots have equal weights.

    See Also
    --------
    scdiffot.core.spatial.between.slice_coupling.couple_slices : The coupling.
    joint_distance : Distance to a measured slice.
    whole_slice : Represent a measured slice.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core.spatial.between.interpolation import interpolate_pair
    >>> spots = np.random.default_rng(0).uniform(size=(100, 2))
    >>> between = interpolate_pair(spots, spots, spots + [0.1, 0.0], spots, 0.5, masses=(1, 3))
    >>> round(float((between.positions - spots).mean(axis=0)[0]), 6)
    0.05
    >>> float(between.weights.sum())
    2.0
    """
    from scipy import sparse

    n, m = len(x), len(y)
    if coupling is None:
        coupling = couple_slices(x, fx, y, fy, spatial_weight=spatial_weight, partial=partial)
    first, second = masses if masses is not None else (float(n), float(m))
    if n_obs is None:
        n_obs = max(1, round((1 - at) * n + at * m))
    interpolate = displacement_points if form == "displacement" else barycentric_points
    source, target, weights = interpolate(coupling, n, m, at, (first, second))
    positions = source @ x + target @ y
    pieces = VirtualSlice(positions, weights, source, target)
    selection = sample_spots(positions, weights, n_obs)
    new_positions = lloyd_step(positions, weights, selection)
    if smoothing > 0:
        states = source @ (fx - fx.mean(axis=0)) + target @ (fy - fy.mean(axis=0))
        bandwidth = smoothing * median_spacing(x, y)
        ratio = scale_of(x, y) / scale_of(fx, fy) * np.sqrt(1 / spatial_weight - 1)
        kernel = joint_kernel(
            positions / bandwidth,
            states * (ratio / bandwidth),
            weights,
            selection,
            new_positions / bandwidth,
        )
        source, target = kernel @ source, kernel @ target
    else:
        source, target = source[selection], target[selection]
    return VirtualSlice(
        new_positions,
        np.full(n_obs, weights.sum() / n_obs),
        sparse.csr_array(source),
        sparse.csr_array(target),
        pieces,
    )


def whole_slice(
    x: np.ndarray, n_other: int, *, mass: float, n_obs: int | None = None
) -> VirtualSlice:
    """Represent a measured slice as a virtual slice.

    Parameters
    ----------
    x
        Positions of the slice, shape ``(n, 2)`` or ``(n, 3)``.
    n_other, mass
        Number of spots of the other slice, and total mass of this slice.
    n_obs
        Number of spots to subsample; all spots by default.

    Returns
    -------
    The virtual slice.

    See Also
    --------
    interpolate_pair : Interpolate between two slices.
    """
    from scipy import sparse

    n = len(x)
    selection = np.arange(n) if n_obs in (None, n) else sample_spots(x, np.ones(n), int(n_obs or n))
    source = sparse_matrix(
        np.ones(len(selection)), np.arange(len(selection)), selection, (len(selection), n)
    )
    return VirtualSlice(
        x[selection],
        np.full(len(selection), mass / len(selection)),
        source,
        sparse.csr_array((len(selection), n_other)),
    )


def median_spacing(*slices: np.ndarray) -> float:
    """Compute the median distance of a spot to the nearest distinct position in its slice.

    See Also
    --------
    scdiffot.core.spatial.align.metaspots.spacing : An estimate for irregular positions.
    """
    from scipy.spatial import cKDTree

    distances = []
    for positions in slices:
        distinct = np.unique(positions, axis=0)
        distances.append(cKDTree(distinct).query(distinct, 2)[0][:, 1])
    return float(np.median(np.concatenate(distances)))


def joint_distance(
    positions: np.ndarray,
    states: np.ndarray,
    true_positions: np.ndarray,
    true_states: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    n_max: int = 5000,
    rng: int | np.random.Generator = 0,
) -> float:
    r"""Compute the distance between two slices, in space and expression jointly.

    The distance is the Wasserstein distance :math:`W_2` between spots :math:`(x / s_x, f / s_f) /
    \sqrt 2`. The scales are root mean squared distances of the true spots to their mean, so that
    the root mean squared distance of a spot to the mean of the true slice is 1. The distance does
    not depend on units, but on the number of spots. Compare it with the distance between halves of
    the true slice (:func:`scdiffot.metrics.noise_floor` of the same points).

    Parameters
    ----------
    positions
        Positions of the evaluated slice, shape ``(n, 2)`` or ``(n, 3)``.
    states
        Their states, shape ``(n, d)``.
    true_positions
        Positions of the true slice, shape ``(m, 2)`` or ``(m, 3)``.
    true_states
        Their states, shape ``(m, d)``.
    weights
        Weights of the evaluated spots, shape ``(n,)``; equal weights by default.
    n_max, rng
        As in :func:`scdiffot.metrics.wasserstein`.

    Returns
    -------
    The distance, without unit.

    See Also
    --------
    interpolate_pair : Interpolate between two slices.
    scdiffot.core.scores.distances.wasserstein : The distance of point sets.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core.spatial.between.interpolation import joint_distance
    >>> spots, states = np.random.default_rng(0).normal(size=(2, 100, 2))
    >>> joint_distance(spots, states, spots, states)
    0.0
    """
    from scdiffot.core.scores.distances import wasserstein

    scales = scale_of(true_positions), scale_of(true_states)
    evaluated, true = (
        np.hstack([x / scales[0], f / scales[1]]) / np.sqrt(2)
        for x, f in ((positions, states), (true_positions, true_states))
    )
    return wasserstein(evaluated, true, weights, p=2, n_max=n_max, rng=rng)
