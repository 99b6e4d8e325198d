"""Virtual slices between two others, and how far a slice is from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .place_kernel import joint_kernel, kernel_width, smoothing_kernel
from .slice_coupling import SliceCoupling, couple_slices, scale_of
from .spread import settle, spread

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class VirtualSlice:
    """Spots between two slices, and what they are made of.

    Parameters
    ----------
    positions
        Their positions, shape ``(k, 2)`` or ``(k, 3)``.
    weights
        Their masses, shape ``(k,)``.
    source
        Share of each spot of the first slice in a virtual spot, shape ``(k, n)``.
    target
        Share of each spot of the second slice, shape ``(k, m)``. Rows of both together add up to one, so that the expression
        of virtual spots is ``source @ first + target @ second``.
    pieces
        All spots that it was chosen from, without smoothing; None for a slice that was measured.
    """

    positions: np.ndarray
    weights: np.ndarray
    source: csr_array
    target: csr_array
    pieces: VirtualSlice | None = None

    def mix(self, first: Any, second: Any) -> Any:
        """Values of the virtual spots from values of the spots of both slices, arrays or sparse matrices."""
        return self.source @ first + self.target @ second

    def labels(
        self, x: np.ndarray, y: np.ndarray, first: np.ndarray, second: np.ndarray
    ) -> np.ndarray:
        """Shares of labels around the places of the virtual spots, whatever their states.

        A spot between two is no copy of them, and its own deviation from its surroundings is unknown. The width of the kernel is the
        one by which spots of both slices, each left out in turn, are told best.

        Parameters
        ----------
        x, y
            Positions of the spots of both slices in one frame, shapes ``(n, 2)`` and ``(m, 2)``, or with three columns.
        first, second
            Indicators of their labels, shapes ``(n, L)`` and ``(m, L)``; zero where a spot has none.

        Returns
        -------
        Shares, shape ``(k, L)``. What is missing to one has no label.
        """
        pieces = self.pieces
        if pieces is None:
            return np.asarray(self.mix(first, second))
        unit = spacing(x, y)
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
    r"""Make a slice between two, in one frame.

    Along the optimal coupling of :func:`couple_slices`, spots move on straight lines: each pair :math:`(i, j)` is a spot at
    :math:`(1 - t) x_i + t y_j` (displacement interpolation :cite:p:`McCann1997`), or each spot of both slices goes towards the
    barycentre of its partners. Tissue without a counterpart stays where it is and fades. Masses are linear in :math:`t`.

    Parameters
    ----------
    x, fx
        Positions, shape ``(n, 2)`` or ``(n, 3)``, and states, shape ``(n, d)``, of the first slice.
    y, fy
        The same of the second slice.
    at
        Where between the two, above 0 and below 1.
    masses
        Total masses of both slices; their numbers of spots by default.
    n_obs
        Number of virtual spots; between those of the two slices by default.
    form
        ``"displacement"`` or ``"barycentric"``.
    smoothing
        Width, in distances between neighbouring spots, of the Gaussian kernel over place and state by which the expression of a
        virtual spot is averaged with its neighbours; at least the way to the nearest of them. 0 for none.
    spatial_weight
        Weight of the positions in the cost of the coupling, and in that kernel.
    partial
        As in :func:`couple_slices`.
    coupling
        The coupling, if it is known.

    Returns
    -------
    The virtual slice. Its spots have equal weights.

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
    atoms = _pairs if form == "displacement" else _barycentres
    source, target, weights = atoms(coupling, n, m, at, (first, second))
    positions = source @ x + target @ y
    pieces = VirtualSlice(positions, weights, source, target)
    chosen = spread(positions, weights, n_obs)
    places = settle(positions, weights, chosen)
    if smoothing > 0:
        states = source @ (fx - fx.mean(axis=0)) + target @ (fy - fy.mean(axis=0))
        width = smoothing * spacing(x, y)
        ratio = scale_of(x, y) / scale_of(fx, fy) * np.sqrt(1 / spatial_weight - 1)
        kernel = joint_kernel(
            positions / width, states * (ratio / width), weights, chosen, places / width
        )
        source, target = kernel @ source, kernel @ target
    else:
        source, target = source[chosen], target[chosen]
    return VirtualSlice(
        places,
        np.full(n_obs, weights.sum() / n_obs),
        sparse.csr_array(source),
        sparse.csr_array(target),
        pieces,
    )


def whole_slice(
    x: np.ndarray, n_other: int, *, mass: float, n_obs: int | None = None
) -> VirtualSlice:
    """Make a slice that was measured a virtual one, with `n_obs` of its spots, or all, next to a slice of `n_other` spots."""
    from scipy import sparse

    n = len(x)
    chosen = np.arange(n) if n_obs in (None, n) else spread(x, np.ones(n), int(n_obs or n))
    source = _rows(np.ones(len(chosen)), np.arange(len(chosen)), chosen, (len(chosen), n))
    return VirtualSlice(
        x[chosen],
        np.full(len(chosen), mass / len(chosen)),
        source,
        sparse.csr_array((len(chosen), n_other)),
    )


def spacing(*slices: np.ndarray) -> float:
    """Median distance of a spot to the nearest one at another place in its slice."""
    from scipy.spatial import cKDTree

    found = []
    for positions in slices:
        distinct = np.unique(positions, axis=0)
        found.append(cKDTree(distinct).query(distinct, 2)[0][:, 1])
    return float(np.median(np.concatenate(found)))


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
    r"""Distance between two slices in space and expression together.

    The Wasserstein distance :math:`W_2` between spots :math:`(x / s_x, f / s_f) / \sqrt 2`, in which the scales are root mean
    squared distances of the true spots to their mean: a spot and the mean of the true slice are 1 apart on average. It depends
    on neither unit, but on the number of spots; compare slices with the distance between halves of the true one
    (:func:`scdiffot.metrics.noise_floor` of the same points).

    Parameters
    ----------
    positions
        Positions that are judged, shape ``(n, 2)`` or ``(n, 3)``.
    states
        Their states, shape ``(n, d)``.
    true_positions
        Positions of the true slice, shape ``(m, 2)`` or ``(m, 3)``.
    true_states
        Their states, shape ``(m, d)``.
    weights
        Weights of the spots that are judged, shape ``(n,)``; equal ones by default.
    n_max, rng
        As in :func:`scdiffot.metrics.wasserstein`.

    Returns
    -------
    The distance, without unit.

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
    judged, true = (
        np.hstack([x / scales[0], f / scales[1]]) / np.sqrt(2)
        for x, f in ((positions, states), (true_positions, true_states))
    )
    return wasserstein(judged, true, weights, p=2, n_max=n_max, rng=rng)


def _pairs(
    coupling: SliceCoupling, n: int, m: int, t: float, masses: tuple[float, float]
) -> tuple[Any, Any, Any]:
    """A spot for every pair, and for every spot that is left."""
    lone, new = np.flatnonzero(coupling.left_source), np.flatnonzero(coupling.left_target)
    n_pairs, first, second = len(coupling.rows), (1 - t) * masses[0], t * masses[1]
    weights = np.concatenate(
        [
            coupling.shares * (first + second),
            first * coupling.left_source[lone],
            second * coupling.left_target[new],
        ]
    )
    size = len(weights)
    source = _rows(
        np.concatenate([np.full(n_pairs, 1 - t), np.ones(len(lone))]),
        np.arange(n_pairs + len(lone)),
        np.concatenate([coupling.rows, lone]),
        (size, n),
    )
    target = _rows(
        np.concatenate([np.full(n_pairs, t), np.ones(len(new))]),
        np.concatenate([np.arange(n_pairs), np.arange(n_pairs + len(lone), size)]),
        np.concatenate([coupling.cols, new]),
        (size, m),
    )
    return source, target, weights


def _barycentres(
    coupling: SliceCoupling, n: int, m: int, t: float, masses: tuple[float, float]
) -> tuple[Any, Any, Any]:
    """A spot for every spot of both slices, on its way to its partners."""
    from scipy import sparse

    plan = _rows(coupling.shares, coupling.rows, coupling.cols, (n, m))
    forth, lone = _means(plan)
    back, new = _means(plan.T.tocsr())
    source = sparse.vstack(
        [sparse.diags_array(np.where(lone, 1.0, 1 - t)), (1 - t) * back], format="csr"
    )
    target = sparse.vstack([t * forth, sparse.diags_array(np.where(new, 1.0, t))], format="csr")
    weights = np.concatenate([np.full(n, (1 - t) * masses[0] / n), np.full(m, t * masses[1] / m)])
    return source, target, weights


def _rows(values: np.ndarray, rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> Any:
    from scipy import sparse

    return sparse.csr_array((values, (rows, cols)), shape=shape)


def _means(plan: Any) -> tuple[Any, np.ndarray]:
    """Rows that sum to one, and which were empty."""
    from scipy import sparse

    mass = np.asarray(plan.sum(axis=1)).ravel()
    lone = mass == 0
    return sparse.diags_array(np.where(lone, 0.0, 1 / np.where(lone, 1.0, mass))) @ plan, lone
