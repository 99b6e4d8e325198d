"""Three-gene branching network with growth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.rng import as_generator

from .assembly import simulated_adata
from .laws import gene_network_law

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

_GENES = ("x1", "x2", "x3")


@fill_parameters
def gene_network(
    n_obs: int = 400,
    *,
    times: Sequence[float] = (0.0, 8.0, 16.0, 24.0, 32.0),
    rng: int | np.random.Generator = 0,
) -> AnnData:
    r"""Simulate the three-gene network of TIGON and DeepRUOT, in which one branch proliferates.

    .. math::
        dx_1 &= \Big( \frac{a_1 x_1^2 + b}{1 + a_1 x_1^2 + c_2 x_2^2 + c_3 x_3^2 + b}
        - d x_1 \Big) dt + \sigma_1 dW_1 \\
        dx_2 &= \Big( \frac{a_2 x_2^2 + b}{1 + c_1 x_1^2 + a_2 x_2^2 + c_3 x_3^2 + b}
        - d x_2 \Big) dt + \sigma_2 dW_2 \\
        dx_3 &= \Big( \frac{a_3 x_3^2}{1 + a_3 x_3^2} - d x_3 \Big) dt + \sigma_3 dW_3, \qquad
        g = 0.065 \, \frac{x_2^2}{1 + x_2^2}

    with ``a`` 0.5, 1, 1; ``c`` 0.5, 1, 10; ``b`` 1; ``d`` 0.4; sigma 0.05, 0.05, 0.01. Half of the
    cells start around (2, 0.2, 0), pass from the first gene to the second and divide; the other
    half, around (0, 0, 2), is silent :cite:p:`Sha2024,Zhang2025`. Daughters differ from their
    mother by 0.014. The rate of division was fitted to the numbers of cells of the published
    table, whose snapshots this law reproduces to within sampling error.

    Parameters
    ----------
    n_obs
        Number of cells at the first time. Later snapshots follow the mass: 400 become about 435,
        530, 695 and 955.
    times
        Times of the snapshots, increasing; the cells start at the first of them. The published
        table numbers the default ones 0 to 4; to compare growth rates with a fit to that table,
        multiply the true ones by 8.
    %(rng)s

    Returns
    -------
    Cells of all snapshots. Every snapshot is an independent population.

    - ``X``: the genes ``x1``, ``x2``, ``x3``: fit with ``use_rep="X"``. The published table keeps
      the first two.
    - ``obs["time"]``, ``obs["time_label"]``.
    - ``obs["cell_type"]``: the most expressed gene.
    - ``obsm["true_drift"]``: drift at the cell, state per time, shape ``(n, 3)``;
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
    scdiffot.datasets.misa : Two genes that inhibit each other.
    scdiffot.datasets.deepruot : The published table of this network.
    scdiffot.tl.fit : Fit a model to the snapshots.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.gene_network(100)
    >>> adata.var_names.tolist()
    ['x1', 'x2', 'x3']
    >>> bool(adata.uns["true"]["masses"][-1] > 2)
    True
    """

    def highest_gene(x: np.ndarray) -> np.ndarray:
        return np.array(_GENES)[x.argmax(axis=1)]

    return simulated_adata(
        gene_network_law(),
        n_obs,
        times,
        genes=_GENES,
        types=highest_gene,
        dt=0.1,
        rng=as_generator(rng),
    )
