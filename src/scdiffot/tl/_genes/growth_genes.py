"""Genes on which growth depends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._analysis.cell_groups import read_grouped
from scdiffot._data.read.checks import as_writable
from scdiffot._data.write.regulation import write_growth_genes
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot._utils.logging import logger
from scdiffot._utils.progress import cell_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.genes.regulation import growth_regulation

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._analysis.cell_groups import Group, GroupedCells
    from scdiffot.core.genes.regulation import Spread


@fill_parameters
def growth_genes(
    adata: AnnData | MuData,
    genes: str | Iterable[str] | None = None,
    *,
    groupby: str | None = None,
    source: str | float | np.ndarray | Iterable[str] | None = None,
    per_time: bool = False,
    n_cells: int | None = 1000,
    gene_symbols: str | None = None,
    decoder: Any = None,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
    copy: bool = False,
    show_progress: bool = True,
) -> AnnData | MuData | None:
    r"""Find the genes on which growth depends, by the gradient of growth averaged over cells.

    At a cell with state :math:`z` and time :math:`t`, with the growth :math:`g` of the fit and the
    encoder, as in :cite:p:`Sha2024`,

    .. math::
        \frac{\partial g}{\partial x_j}
        = \sum_l \frac{\partial g(z, t)}{\partial z_l} \, \frac{\partial z_l}{\partial x_j}

    is the increase of the net growth rate of the cell per increase of gene j. The *effect* is its
    mean, multiplied by the standard deviation of the gene over all selected cells, so that genes
    can be compared.

    With ``form="gradient"``, the default of `tl.fit`, the drift is :math:`\alpha \nabla g`: the
    gradient contains no more information than the velocity of the genes, and a warning is logged.
    Fit with ``form="separate"`` or ``autonomous=True`` to learn growth separately. If the fit clips
    the growth to the range of the observed rates, the gradient is zero.

    Parameters
    ----------
    %(fit)s
    genes
        Names of genes; by default all genes of the decoder that vary.
    %(groups_of_cells)s
    n_cells
        Largest number of cells of every group (and time), sampled at random; None uses all.
    %(gene_symbols)s
    %(decoder)s
    %(rng)s
    %(key)s
    %(copy)s
    %(show_progress)s

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.uns["{key}"]["growth_genes"]` : data frame
        A row for every group (and time) and gene, the largest effects of a group first: ``gene``,
        ``group``, ``time`` (NaN unless `per_time`), ``mean`` and ``sd`` over the cells (per time
        and unit of expression), ``stability`` (share of cells with the sign of the mean),
        ``effect`` (per time).

    Raises
    ------
    KeyError
        If there is no fit, gene, column, time or cell of that name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the fit has no growth, the representation has no decoder, a gene does not vary, no cell
        is selected or cells lie outside the fit, a number is out of range, or `adata` cannot be
        used. Nothing is written then.

    See Also
    --------
    scdiffot.tl.regulation : Effects of genes on each other.
    scdiffot.tl.gene_velocity : Velocities of genes.
    scdiffot.pl.growth_genes : Plot the effects.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.growth_genes(adata, groupby="cell_type")
    >>> list(adata.uns["scdiffot"]["growth_genes"].columns)
    ['gene', 'group', 'time', 'mean', 'sd', 'stability', 'effect']
    """
    import pandas as pd

    adata = as_writable(adata, copy=copy)
    grouped = read_grouped(
        adata,
        key,
        genes=genes,
        groupby=groupby,
        source=source,
        per_time=per_time,
        n_cells=n_cells,
        decoder=decoder,
        rng=as_generator(rng),
        gene_symbols=gene_symbols,
    )
    if not grouped.model.config.growth:
        raise ValueError(
            f"`key` is {key!r}, a fit without growth, so there is nothing that genes could change: "
            "fit with growth=True."
        )
    if grouped.model.config.form == "gradient":
        logger.warning(
            "The drift of this fit is the gradient of its growth, up to a factor, so growth genes "
            "are those that rise. tl.fit(..., form='separate') or autonomous=True learns growth "
            "by itself."
        )
    tables = []
    n_total = sum(len(group.cells) for group in grouped.groups)
    with cell_bar("growth genes", n_total, show=show_progress) as progress:
        for group in grouped.groups:
            gradient = growth_regulation(
                grouped.model,
                grouped.space.decoder,
                grouped.states[group.cells],
                grouped.times.values[group.cells],
                genes=grouped.genes,
                progress=progress,
            )
            tables.append(_ranked(grouped, group, gradient))
    write_growth_genes(adata, key, pd.concat(tables, ignore_index=True))
    return adata if copy else None


def _ranked(grouped: GroupedCells, group: Group, gradient: Spread) -> pd.DataFrame:
    """Table of the genes of a group, the largest effects first."""
    import pandas as pd

    values = {
        "mean": gradient.mean,
        "sd": gradient.sd,
        "stability": gradient.stability,
        "effect": gradient.mean * grouped.spread,
    }
    order = np.argsort(-np.abs(values["effect"]), kind="stable")
    return pd.DataFrame(
        {"gene": grouped.names[order], "group": group.name, "time": group.time}
        | {name: column[order].astype(np.float64) for name, column in values.items()}
    )
