"""How genes act on each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._analysis.cell_groups import read_grouped
from scdiffot._data.read.checks import as_writable, check_choice, check_number, check_share
from scdiffot._data.write.regulation import write_regulation
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot._utils.logging import logger
from scdiffot._utils.progress import cell_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.genes.regulation import fastest_relaxation
from scdiffot.core.genes.regulation import regulation as core_regulation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._analysis.cell_groups import GroupedCells

# Largest size of the result, in bytes.
MAX_BYTES = 4e9
# Largest decay rate that single precision can add to the edges.
MAX_DECAY = 1e30


@fill_parameters
def regulation(
    adata: AnnData | MuData,
    genes: str | Iterable[str] | None = None,
    *,
    groupby: str | None = None,
    source: str | float | np.ndarray | Iterable[str] | None = None,
    per_time: bool = False,
    stability: float = 0.9,
    decay: float | Literal["auto"] = 0.0,
    n_cells: int | None = 1000,
    gene_symbols: str | None = None,
    decoder: Any = None,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
    copy: bool = False,
    show_progress: bool = True,
) -> AnnData | MuData | None:
    r"""Find how genes act on each other, by the Jacobian of the gene velocity averaged over cells.

    At a cell with state :math:`z` and time :math:`t`,

    .. math::
        J_{ij} = \frac{\partial \dot x_i}{\partial x_j}
        = \sum_{kl} \frac{\partial x_i}{\partial z_k} \, \frac{\partial b_k(z, t)}{\partial z_l} \,
        \frac{\partial z_l}{\partial x_j},

    with the drift :math:`b` of the fit, the decoder (left factor) and the encoder (right factor):
    the increase of the velocity of gene i per increase of gene j, per time. Positive entries
    activate, negative entries repress; the diagonal holds self-activation minus decay. The
    derivatives are exact (automatic differentiation), as in :cite:p:`Qiu2022` and
    :cite:p:`Sha2024`.

    Edges are selected by *stability*, the share of cells in which an edge has the sign of its mean,
    and not by size, for which there is no natural threshold. Stability describes the variation
    between cells, not the error of the fit: fit again with another `rng` to estimate that error.
    With ``form="gradient"``, the default of `tl.fit`, the drift has a potential, so that
    :math:`\partial b_k / \partial z_l` is symmetric. Through a principal component analysis (PCA),
    two genes then act on each other equally: signs and sizes are learned, directions are not, and a
    warning is logged. Fit with ``form="separate"`` or ``autonomous=True`` to distinguish regulators
    from targets.

    Through a PCA, a gene acts only through the components: genes with similar loadings have similar
    edges, and effects outside the components are invisible.

    Parameters
    ----------
    %(fit)s
    genes
        Genes that are targets and regulators; by default all genes of the decoder that vary.
    %(groups_of_cells)s
    stability
        Share of cells that must agree on the sign of an edge.
    decay
        Common decay rate of all genes, per time, to exclude from the edges. Through a PCA, the
        decay of genes leaks to pairs with similar loadings, which then seem to repress each other:
        true edges are much easier to find without it. ``"auto"`` uses the rate of the fastest
        relaxation of the mean Jacobian over all cells.
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
    None, or the copy. Sets the following field, which :func:`scdiffot.get.regulation` gives as a
    table or a graph:

    `adata.uns["{key}"]["regulation"]`
        `genes` of shape ``(G,)``; `groups`, `times` (NaN unless `per_time`) and `n_cells` of shape
        ``(K,)``; `mean`, `sd` and `stability` over the cells, of shape ``(K, G, G)``, **targets by
        regulators**, per time; the `threshold` and the `decay`.

    Raises
    ------
    KeyError
        If there is no fit, gene, column, time or cell of that name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the representation has no decoder, a gene does not vary, no cell is selected or cells lie
        outside the fit, a number is out of range, the result would be too large, or `adata` cannot
        be used. Nothing is written then.

    See Also
    --------
    scdiffot.tl.growth_genes : Genes on which growth depends.
    scdiffot.tl.perturb : Effects of changing genes on fates.
    scdiffot.get.regulation : Read the edges.
    scdiffot.pl.regulation : Plot the edges.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.regulation(adata, groupby="cell_type")
    >>> adata.uns["scdiffot"]["regulation"]["mean"].shape[1:]
    (2, 2)
    """
    adata = as_writable(adata, copy=copy)
    threshold = check_share("stability", stability)
    if isinstance(decay, str):
        check_choice("decay", decay, ("auto",))
    else:
        decay = check_number("decay", decay, 0, MAX_DECAY)
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
    _warn_symmetric(grouped)
    groups = grouped.groups
    _check_size(len(groups), len(grouped.genes))
    if decay == "auto":
        cells = np.unique(np.concatenate([group.cells for group in groups]))
        decay = fastest_relaxation(
            grouped.model, grouped.states[cells], grouped.times.values[cells]
        )
    jacobians = _jacobians(grouped, float(decay), show_progress=show_progress)
    shares = (jacobians["stability"] >= np.float32(threshold)).mean(axis=(1, 2))
    logger.info(
        "From %.0f %% to %.0f %% of the edges have one sign in %.0f %% of the cells of a group.",
        100 * shares.min(),
        100 * shares.max(),
        100 * threshold,
    )
    result = {
        "genes": grouped.names,
        "groups": np.array([group.name for group in groups]),
        "times": np.array([group.time for group in groups]),
        "n_cells": np.array([len(group.cells) for group in groups]),
        "groupby": groupby or "",
        **jacobians,
        "threshold": threshold,
        "decay": float(decay),
    }
    write_regulation(adata, key, result)
    return adata if copy else None


def _warn_symmetric(grouped: GroupedCells) -> None:
    """Warn if the drift has a potential, so that the Jacobian is symmetric."""
    if grouped.model.config.form == "gradient":
        logger.warning(
            "The drift of this fit has a potential, so that its Jacobian is symmetric: it does not "
            "tell regulators from targets. tl.fit(..., form='separate') or autonomous=True does."
        )


def _check_size(n_groups: int, n_genes: int) -> None:
    """Refuse a result that would be too large."""
    n_bytes = 3 * 4 * n_groups * n_genes**2
    if n_bytes > MAX_BYTES:
        max_genes = int((MAX_BYTES / (12 * n_groups)) ** 0.5)
        raise ValueError(
            f"`genes` are {n_genes}, which makes {n_bytes / 1e9:.1f} GB for {n_groups} groups: "
            f"pass at most {max_genes} of them (highly variable ones, or transcription factors), "
            "or fewer groups."
        )


def _jacobians(
    grouped: GroupedCells, decay: float, *, show_progress: bool
) -> dict[str, np.ndarray]:
    """Mean, standard deviation and stability of the Jacobian, each of shape ``(K, G, G)``."""
    n_groups, n_genes = len(grouped.groups), len(grouped.genes)
    mean, sd, stability = np.empty((3, n_groups, n_genes, n_genes), np.float32)
    n_total = sum(len(group.cells) for group in grouped.groups)
    with cell_bar("regulation", n_total, show=show_progress) as progress:
        for k, group in enumerate(grouped.groups):
            jacobian = core_regulation(
                grouped.model,
                grouped.space.decoder,
                grouped.states[group.cells],
                grouped.times.values[group.cells],
                genes=grouped.genes,
                decay=decay,
                progress=progress,
            )
            mean[k], sd[k], stability[k] = jacobian.mean, jacobian.sd, jacobian.stability
    return {"mean": mean, "sd": sd, "stability": stability}
