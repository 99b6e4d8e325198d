"""Gaussian clusters that move and grow, in any number of dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.options import check_count, check_number
from scdiffot._utils.rng import as_generator

from .assembly import check_simulation, truth_adata
from .laws import gaussian_mixture_components, gaussian_mixture_law

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

_NAMES = ("left", "right", "growing")


@fill_parameters
def gaussian_mixture(
    n_dims: int = 10,
    n_obs: int = 500,
    *,
    times: Sequence[float] = (0.0, 1.0),
    sigma: float = 0.1,
    rng: int | np.random.Generator = 0,
) -> AnnData:
    r"""Draw from Gaussian clusters that move and grow, with their exact drift and growth.

    Two clusters of weight 0.4 start together at the origin and part at unit speed along the first
    axis, one to either side, without growth. A third, of weight 0.2, stays at 2.5 on the second
    axis and grows tenfold in unit time. All have the variance :math:`s^2` = 0.005 in every
    dimension at all times, as in the tables of DeepRUOT :cite:p:`Zhang2025`.

    With the centres :math:`c_k(t)`, velocities :math:`v_k`, rates :math:`g_k` and responsibilities
    :math:`r_k(x, t)` of the clusters,

    .. math::
        b(x, t) = \sum_k r_k \Big( v_k - \frac{\sigma^2}{2 s^2} (x - c_k) \Big), \qquad
        g(x, t) = \sum_k r_k g_k

    fulfil the Fokker-Planck equation with growth and diffusion `sigma` exactly, from which every
    snapshot is an exact, independent sample.

    Parameters
    ----------
    n_dims
        Number of dimensions, at least 2; 10 to 1,000 are of interest.
    n_obs
        Number of points at time zero, except for rounding in every cluster. Later snapshots follow
        the mass: 500 become 1,400 at time 1.
    times
        Times of the snapshots, increasing.
    sigma
        Diffusion, state per square root of time; zero for clusters that move rigidly.
    %(rng)s

    Returns
    -------
    Points of all snapshots.

    - ``X``: the coordinates, variables ``x1``, ``x2``, ...: fit with ``use_rep="X"``.
    - ``obs["time"]``, ``obs["time_label"]``.
    - ``obs["cell_type"]``: the cluster, ``"left"``, ``"right"`` or ``"growing"``.
    - ``obsm["true_drift"]``: drift at the point, shape ``(n, n_dims)``; ``obs["true_growth"]``:
      net growth rate.
    - ``uns["true"]``: ``sigma`` per dimension, ``times``, ``masses`` (number of points relative to
      the first snapshot) and ``params``.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If a number is out of its range, `times` are not finite and increasing, or `sigma` is
        negative.

    See Also
    --------
    scdiffot.datasets.deepruot : The published tables of this mixture.
    scdiffot.datasets.misa : A law without a closed-form solution.
    scdiffot.tl.fit : Fit a model to the snapshots.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.gaussian_mixture(20, 100)
    >>> adata.shape
    (380, 20)
    """
    check_count("n_dims", n_dims, 2)
    points = check_simulation(n_obs, times)
    check_number("sigma", sigma, 0)
    generator = as_generator(rng)
    law = gaussian_mixture_law(n_dims, sigma)
    snapshots, types = [], []
    for t in points:
        centres, weights = gaussian_mixture_components(n_dims, t)
        counts = np.maximum(np.round(n_obs * weights).astype(int), 1)
        noise = np.sqrt(law.params["variance"]) * generator.normal(size=(int(counts.sum()), n_dims))
        snapshots.append(np.repeat(centres, counts, axis=0) + noise)
        types.append(np.repeat(_NAMES, counts))
    genes = [f"x{i + 1}" for i in range(n_dims)]
    return truth_adata(law, snapshots, points, genes=genes, types=np.concatenate(types))
