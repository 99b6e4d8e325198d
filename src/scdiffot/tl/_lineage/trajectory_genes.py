"""Gene expression along simulated trajectories."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._analysis.classifier import check_estimator
from scdiffot._analysis.sta_inputs import StaInputs
from scdiffot._data.read.checks import as_writable, check_count
from scdiffot._data.write.decoders import read_genes
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, TRAJECTORY_GENES, Keys
from scdiffot._utils.number_text import number_text
from scdiffot._utils.progress import cell_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.genes.trends import sample_weighted_trajectories
from scdiffot.core.lineage.fate import N_STEPS

from .trend_entries import trend_entries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData


@fill_parameters
def trajectory_genes(
    adata: AnnData | MuData,
    cell_key: str,
    source: str | float | np.ndarray | Iterable[str] | None = None,
    *,
    genes: str | Iterable[str] | None = None,
    target_time: float | str | None = None,
    n_cells: int = 1000,
    n_trajectories: int = 20,
    n_times: int = 21,
    band: tuple[float, float] = (0.1, 0.9),
    growth: bool | None = None,
    classifier: Any = None,
    n_neighbors: int = 30,
    n_steps: int | None = None,
    gene_symbols: str | None = None,
    decoder: Any = None,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
    copy: bool = False,
    show_progress: bool = True,
) -> AnnData | MuData | None:
    r"""Rank genes by how their expression along simulated trajectories differs between fates.

    From every source cell, stochastic trajectories run to the target time, as in
    :func:`scdiffot.tl.sta_forward`, and are decoded. The fate of a trajectory is the cell type at
    its end; trajectories that end among cells without a type, or far from all cells, have none. The
    trend of a fate is the mean over the trajectories that end there. At all times, each trajectory
    is weighted by the number of its descendants at the end: at the start, the trend is the
    expression of the source cells of that fate.

    Genes are ranked by the *effect*: the mean over time of the difference between a fate and all
    others, divided by the standard deviation within them (Cohen's d, with the mean of both
    variances, over time). To avoid pseudo-replication, the observations of its p value are the
    source cells and not the trajectories; it is corrected over all genes and fates by the procedure
    of Benjamini and Hochberg. A small p value excludes chance in the sampling of cells and in the
    noise of trajectories, given the fit. It does not show causation: targets differ as much as
    regulators, and types that were defined by genes differ in these (see
    :func:`scdiffot.tl.perturb_screen`). Decoded expression has no measurement noise, so effects are
    larger than between measured cells, most of all for genes that hardly vary: also check the
    `difference` itself.

    Parameters
    ----------
    %(fit)s
    %(cell_key)s
    source
        Cells to follow, of one time: that time (number) or its label, a query of `adata.obs`, names
        of cells, or a boolean mask. The cells of the first time by default.
    genes
        Names of genes; by default all genes of the representation.
    %(target_time)s
    n_cells
        Largest number of cells to follow; if there are more, they are sampled at random.
    n_trajectories
        Number of trajectories of every cell.
    n_times
        Number of times, equally spaced from start to end.
    band
        Quantiles of the trajectories that limit the bands.
    %(growth)s
    classifier
        Any classifier of scikit-learn with `predict_proba`. By default the shares of types among
        the nearest neighbours.
    n_neighbors
        Number of neighbours, at most a tenth of the cells.
    %(n_steps)s
    %(gene_symbols)s
    %(decoder)s
    %(rng)s
    %(key)s
    %(copy)s
    %(show_progress)s

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.uns["{key}"]["trajectory_genes"]`
        - ``times`` of shape ``(S,)``, ``genes`` of shape ``(G,)``, ``fates`` of shape ``(F,)``
          (those of at least a hundredth of the descendants), ``share`` of the descendants, and
          ``n_effective``, the effective number of source cells of a fate, both of shape ``(F,)``;
        - ``mean``, ``low``, ``high`` of shape ``(F, S, G)``, in the unit of the expression that the
          representation was computed from;
        - ``ranking``: data frame with a row for every gene and fate, by decreasing size of the
          effect: ``gene``, ``fate``, ``effect``, ``difference`` from the other fates and its
          standard error ``se``, ``p``, ``p_adjusted``, ``time`` from which on the difference is at
          least half its maximum, ``change`` along the trajectories from start to end and its
          ``change_se``. If there is a single fate, only ``change`` and ``change_se`` are known;
        - ``accuracy`` and ``accuracy_by_type`` of the classifier, as in
          :func:`scdiffot.tl.sta_forward`;
        - ``cell_key``, ``source_time``, ``target_time``, ``n_cells``, ``n_trajectories``,
          ``growth``, ``band``.

    Raises
    ------
    KeyError
        If there is no fit, column, time, cell or gene of that name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the representation has no decoder, source cells are of several times, the target does not
        come after them or has no cells with a type, `growth` is True for a fit without it, a number
        is out of range, or no fate is reached. Nothing is written then.

    See Also
    --------
    scdiffot.tl.sta_forward : Fates and numbers of descendants of cells.
    scdiffot.tl.perturb_screen : Effects of perturbing genes.
    scdiffot.pl.trajectory_genes : Plot the trends.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.trajectory_genes(adata, "cell_type", n_trajectories=5)
    >>> adata.uns["scdiffot"]["trajectory_genes"]["mean"].shape[1:]
    (21, 2)
    """
    keys = Keys(key, "key")
    adata = as_writable(adata, copy=copy)
    inputs = StaInputs.read(adata, cell_key, key)
    space = read_genes(adata, key, decoder, gene_symbols=gene_symbols)
    columns = space.select_named() if genes is None else space.find(genes)
    check_estimator(classifier)
    _check_counts(n_cells, n_trajectories, n_times, n_neighbors)
    n_steps = N_STEPS if n_steps is None else check_count("n_steps", n_steps, 1)
    band = _check_band(band)
    growth = inputs.check_growth(growth, "growth")
    target = inputs.find_time(target_time, inputs.model.times[-1], "target_time")
    target_cells = inputs.typed_cells(target, "target_time")
    cells, start = _source_cells(inputs, adata, source, target)
    generator = as_generator(rng)
    if len(cells) > n_cells:
        cells = np.sort(generator.choice(cells, n_cells, replace=False))
    type_classifier = inputs.classifier(target_cells, classifier, n_neighbors, generator)
    inputs.warn_single_cells(target_cells, type_classifier)
    with cell_bar("Genes along trajectories", len(cells), show=show_progress) as progress:
        trajectories = sample_weighted_trajectories(
            inputs.model,
            inputs.states[cells],
            np.linspace(start, target, n_times),
            n_trajectories=n_trajectories,
            growth=growth,
            n_steps=n_steps,
            rng=generator,
            progress=progress,
        )
    entries = trend_entries(
        trajectories,
        type_classifier,
        inputs,
        target=target,
        genes=space.names[columns].astype(str),
        decode=lambda z: space.decode(z)[:, columns],
        band=band,
        rng=generator,
    )
    adata.uns[keys.uns][TRAJECTORY_GENES] = {
        "cell_key": cell_key,
        "source_time": start,
        "target_time": target,
        "n_cells": len(cells),
        "n_trajectories": n_trajectories,
        "growth": growth,
        **entries,
    }
    return adata if copy else None


def _check_counts(n_cells: Any, n_trajectories: Any, n_times: Any, n_neighbors: Any) -> None:
    """Refuse numbers that are too small; standard errors and trends need two cells and times."""
    check_count("n_cells", n_cells, 2)
    check_count("n_trajectories", n_trajectories, 1)
    check_count("n_times", n_times, 2)
    check_count("n_neighbors", n_neighbors, 1)


def _source_cells(
    inputs: StaInputs, adata: AnnData | MuData, source: Any, target: float
) -> tuple[np.ndarray, float]:
    """Cells to follow, and their time."""
    cells = inputs.find_cells(adata, source, inputs.model.times[0])
    starts = inputs.times_of(cells)
    if len(starts) > 1:
        raise ValueError(
            f"`source` has cells of the times {', '.join(number_text(t) for t in starts)}: trends "
            "need one start, choose cells of one time."
        )
    start = float(starts[0])
    if start >= target:
        raise ValueError(
            f"`target_time` is {number_text(target)}, but the source cells are of time "
            f"{number_text(start)}: name a later one."
        )
    if len(cells) < 2:
        raise ValueError(
            "`source` selects one cell: trends are compared over several, select more."
        )
    return cells, start


def _check_band(band: Any) -> tuple[float, float]:
    if not (
        isinstance(band, tuple | list) and len(band) == 2 and all(isinstance(b, Real) for b in band)
    ):
        raise TypeError(f"`band` is {band!r}: pass two quantiles, such as (0.1, 0.9).")
    low, high = (float(b) for b in band)
    if not 0 <= low < high <= 1:
        raise ValueError(
            f"`band` is {band!r}: pass two quantiles from 0 to 1 that increase, such as (0.1, 0.9)."
        )
    return low, high
