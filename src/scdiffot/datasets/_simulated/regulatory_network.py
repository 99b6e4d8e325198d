"""A network of many genes with known drivers of the fates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.options import check_count, check_number
from scdiffot._utils.rng import as_generator

from .assembly import check_simulation, truth_adata
from .laws import simulate_law
from .laws_network import Network, draw_network, min_genes, network_law

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

SIGMA = 0.2
# Drivers of a fate are on if their mean exceeds that of all other fates by this much.
MIN_DRIVER_MARGIN = 0.8
# Largest mean count per cell for which NumPy can draw Poisson numbers.
MAX_COUNTS = 1e12
# Log-standard deviations of the capture rate between genes and between cells; overdispersion of
# the counts (variance beyond that of Poisson, relative to the squared mean)
GENE_SPREAD, CELL_SPREAD, DISPERSION = 0.5, 0.25, 0.1


@fill_parameters
def regulatory_network(
    n_obs: int = 300,
    *,
    n_genes: int = 50,
    n_fates: int = 3,
    times: Sequence[float] = (0.0, 1.0, 2.0, 3.0, 5.0),
    n_counts: float = 1000.0,
    rng: int | np.random.Generator = 0,
) -> AnnData:
    r"""Simulate a random network of genes with known drivers of the fates, measured as counts.

    .. math::
        dx_i = \Big( a_i \sum_{j \in A_i} \frac{h_j(x_j)}{|A_i|}
        \prod_{j \in R_i} \big( 1 - 0.95 \, h_j(x_j) \big) - d_i x_i \Big) dt
        + \sigma \, dW_i, \qquad h_j(x) = \frac{x^3}{s_j^3 + x^3}

    with activators :math:`A_i` (without any, production is constant) and repressors :math:`R_i` of
    gene i. The threshold :math:`s_j` of a driver is 1.6 times as high for its targets, so that
    cells commit before the targets respond. The genes are

    - two *drivers* of every fate, which activate themselves and each other and inhibit the drivers
      of all other fates. All are low in progenitors, where one progenitor gene keeps them on;
    - *progenitor* genes, which the drivers turn off;
    - *targets* of the drivers, activated or repressed by one, directly or through another target,
      some by drivers of two fates. They separate the fates as well as the drivers do, or better,
      but have no effect on them;
    - *cycle* genes: three that oscillate by inhibiting each other, at a random phase in every
      cell, and three that follow;
    - *housekeeping* genes, which nothing regulates.

    Cells in which the first driver of the first fate is on divide (rate 0.35); those of the last
    fate die (rate 0.2). The network and its rates are drawn first, so equal seeds give the same
    network for any number of cells.

    Counts are negative binomial with a mean of `x` times the capture rates of the gene and of the
    cell. ``X`` is log-normalised: scaled to the same total in every cell, then the logarithm of
    one plus that. There is no dropout beyond that of counts.

    Parameters
    ----------
    n_obs
        Number of cells at the first time. Later snapshots follow the mass: 300 become about 475.
    n_genes
        Number of genes, at least 30 for three fates.
    n_fates
        Number of fates, at least 2.
    times
        Times of the snapshots, increasing; the cells start at the first of them.
    n_counts
        Mean number of counts of a cell. Fewer counts give noisier data.
    %(rng)s

    Returns
    -------
    Cells of all snapshots. Every snapshot is an independent population. For a fit, run
    ``scanpy.pp.pca(adata, n_comps=10)`` first.

    - ``X``: log-normalised counts; ``layers["counts"]``: the counts; ``layers["state"]``: the
      state `x` from which they were drawn.
    - ``obs["time"]``, ``obs["time_label"]``.
    - ``obs["cell_type"]``: the fate whose drivers are on, ``"fate_1"``, ``"fate_2"``, ..., or
      ``"progenitor"``.
    - ``var["role"]``: ``"driver"``, ``"progenitor"``, ``"target"``, ``"cycle"`` or
      ``"housekeeping"``; ``var["driver"]``: whether it is a driver; ``var["fate"]``: the fate that
      a driver causes or a target follows, otherwise empty; ``var["growth"]``: growth rate of cells
      in which the gene is fully on.
    - ``obsm["true_drift"]``: drift of `x`, state per time, shape ``(n, n_genes)``;
      ``obs["true_growth"]``: net growth rate, per time.
    - ``uns["true"]``: ``network``, the signs of all direct regulations, [target, regulator], shape
      ``(n_genes, n_genes)``; ``sigma`` per gene, ``times``, ``masses`` (number of cells relative
      to the first snapshot) and ``params``.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If a number is out of its range, there are too few genes for the fates, or `times` are not
        finite and increasing.

    See Also
    --------
    scdiffot.datasets.gene_network : Three genes instead of many.
    scdiffot.tl.regulation : Infer the regulation between genes.
    scdiffot.tl.perturb : Predict the effect of changing genes on fates.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.regulatory_network(50)
    >>> adata.var_names[adata.var["driver"]].tolist()[:2]
    ['driver_1', 'driver_2']
    >>> adata.uns["true"]["network"].shape
    (50, 50)
    """
    points = _check_arguments(n_obs, n_genes, n_fates, times, n_counts)
    generator = as_generator(rng)
    network = draw_network(n_genes, n_fates, generator)
    capture = generator.lognormal(0, GENE_SPREAD, n_genes)
    law = network_law(network, sigma=SIGMA)
    snapshots = simulate_law(law, n_obs, points, dt=0.02, rng=generator)
    types = cell_types(np.concatenate(snapshots), network)
    adata = truth_adata(law, snapshots, points, genes=network.names, types=types)
    adata.layers["state"] = adata.X.copy()
    counts = _draw_counts(adata.X, capture, n_counts, generator)
    adata.layers["counts"] = counts
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    adata.X = np.log1p(counts * (np.median(total) / total)).astype(np.float32)
    adata.var["role"] = network.roles
    adata.var["driver"] = network.roles == "driver"
    adata.var["fate"] = np.array(["", *(f"fate_{k + 1}" for k in range(n_fates))])[
        network.fates + 1
    ]
    adata.var["growth"] = 0.0
    adata.var.loc[adata.var_names[network.of_role("driver")[::2]], "growth"] = law.params["rates"]
    adata.uns["true"]["network"] = network.edges
    return adata


def cell_types(x: np.ndarray, network: Network) -> np.ndarray:
    """Fate whose drivers are on, or progenitor."""
    drivers = network.of_role("driver")
    means = x[:, drivers].reshape(len(x), -1, 2).mean(axis=2)
    highest = np.partition(means, -2, axis=1)
    margin = highest[:, -1] - highest[:, -2]
    fates = np.array([f"fate_{k + 1}" for k in range(means.shape[1])])
    return np.where(margin > MIN_DRIVER_MARGIN, fates[means.argmax(axis=1)], "progenitor")


def _check_arguments(
    n_obs: int, n_genes: int, n_fates: int, times: Sequence[float], n_counts: float
) -> tuple[float, ...]:
    """Check the numbers of a simulation; return the times as floats."""
    check_count("n_fates", n_fates, 2)
    check_count("n_genes", n_genes, 1)
    points = check_simulation(n_obs, times)
    if n_genes < min_genes(n_fates):
        raise ValueError(
            f"`n_genes` is {n_genes}: {n_fates} fates need at least {min_genes(n_fates)}, "
            "so that every role has a gene."
        )
    check_number("n_counts", n_counts, 0, MAX_COUNTS, above=True)
    return points


def _draw_counts(
    x: np.ndarray, capture: np.ndarray, n_counts: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw negative binomial counts, as a mixture of Poisson distributions over a gamma one."""
    mean = x * capture * rng.lognormal(0, CELL_SPREAD, size=(len(x), 1))
    mean *= n_counts / mean.sum(axis=1).mean()
    shape = 1 / DISPERSION
    return rng.poisson(rng.gamma(shape, mean / shape)).astype(np.float32)
