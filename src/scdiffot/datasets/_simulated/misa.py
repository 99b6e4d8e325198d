"""Mutual inhibition and self-activation of two genes, with growth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.rng import as_generator

from .assembly import simulated_adata
from .laws import misa_law

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


@fill_parameters
def misa(
    n_obs: int = 500,
    *,
    times: Sequence[float] = (0.0, 1.0, 2.0, 6.0),
    rng: int | np.random.Generator = 0,
) -> AnnData:
    r"""Simulate two genes that inhibit each other and activate themselves, in a growing population.

    .. math::
        dx &= \Big( a \frac{x^n}{S^n + x^n} + b \frac{S^n}{S^n + y^n} - k x \Big) dt
        + \sigma \, dW, \qquad
        \text{the same with } x \leftrightarrow y \text{ for } dy, \\
        g(x) &= \lambda \frac{x^2}{1 + x^2} - \mu

    with ``a`` 0.7, ``b`` 0.8, ``S`` 0.5, ``n`` 4, ``k`` 1. All cells start around (2, 2), where
    both genes are on. Both genes first decrease to intermediate levels; then one of them silences
    the other. The circuit is the example of DiffusionOT; its noise (:math:`\sigma^2 / 2` =
    0.0375), growth (:math:`\lambda` 1.285, :math:`\mu` 0.573) and start (spread 0.155) were fitted
    to the snapshots published with it. States are kept non-negative.

    Parameters
    ----------
    n_obs
        Number of cells at the first time. Later snapshots follow the mass: 500 become about 680,
        725 and 750.
    times
        Times of the snapshots, increasing; the cells start at the first of them.
    %(rng)s

    Returns
    -------
    Cells of all snapshots. Every snapshot is an independent population.

    - ``X``: the genes ``X`` and ``Y``: fit with ``use_rep="X"``.
    - ``obs["time"]``, ``obs["time_label"]``.
    - ``obs["cell_type"]``: the genes above ``S``, ``"X"``, ``"Y"``, ``"both"`` or (rarely)
      ``"neither"``; the circuit has two attractors, ``"X"`` and ``"Y"``.
    - ``obsm["true_drift"]``: drift at the cell, state per time, shape ``(n, 2)``;
      ``obs["true_growth"]``: net growth rate, per time.
    - ``uns["true"]``: ``sigma`` per gene, ``times``, ``masses`` (number of cells relative to the
      first snapshot) and ``params``.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If `n_obs` is not positive, or `times` are not finite and increasing.

    See Also
    --------
    scdiffot.datasets.gene_network : Three genes, one branch of which proliferates.
    scdiffot.datasets.regulatory_network : Many genes with known drivers of the fates.
    scdiffot.tl.fit : Fit a model to the snapshots.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(100)
    >>> adata.obsm["true_drift"].shape == adata.shape
    True
    >>> adata.var_names.tolist()
    ['X', 'Y']
    """

    def active_genes(x: np.ndarray) -> np.ndarray:
        active = x > law.params["threshold"]
        return np.array(["neither", "X", "Y", "both"])[active[:, 0] + 2 * active[:, 1]]

    law = misa_law()
    return simulated_adata(
        law, n_obs, times, genes=["X", "Y"], types=active_genes, dt=0.01, rng=as_generator(rng)
    )
