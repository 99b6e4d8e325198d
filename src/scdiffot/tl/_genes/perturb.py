"""Fates of cells with changed genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._analysis.perturbation_run import PerturbationRun
from scdiffot._data.read.checks import as_writable, check_count
from scdiffot._data.write.perturbation import entry_name, write_perturbation
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import ALL, DEFAULT, Keys
from scdiffot._utils.progress import cell_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.lineage.contrasts import two_sided_p_values
from scdiffot.core.scores.p_values import adjust_p_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._analysis.gene_edits import GeneEdits
    from scdiffot.core.lineage.contrasts import Contrasts


@fill_parameters
def perturb(
    adata: AnnData | MuData,
    genes: Mapping[str, float | None] | Iterable[str] | str,
    cell_key: str,
    *,
    kind: Literal["knockout", "knockdown", "overexpress"] = "knockout",
    factor: float | None = None,
    sustained: bool = False,
    source: str | float | np.ndarray | Iterable[str] | None = None,
    target_time: float | str | None = None,
    n_trajectories: int = 100,
    growth: bool | None = None,
    classifier: Any = None,
    n_neighbors: int = 30,
    n_steps: int | None = None,
    gene_symbols: str | None = None,
    decoder: Any = None,
    name: str | None = None,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
    copy: bool = False,
    show_progress: bool = True,
) -> AnnData | MuData | None:
    r"""Change genes of cells, and compare the fates with and without the change.

    The expression of a cell in state :math:`z` is the decoded one, :math:`x = D(z)`: a gene that
    was merely not detected has the expression of similar cells. With the genes changed to
    :math:`x'`, the state is

    .. math:: E(z) = z + \text{encode}(x') - \text{encode}(x).

    A change *at the start* moves the cell to this state; afterwards the dynamics are unchanged, and
    the gene may recover. A *sustained* change holds the gene: at all times, drift and growth are
    those at :math:`E(Z)`, and the type at the end is that of :math:`E(Z)`, while :math:`Z` itself
    moves without the change, so that changes do not accumulate. Held genes move cells away from all
    observed cells by design; the type is then that of the nearest cell at any distance. If states
    are expression itself, this is exactly the system with these genes as constants. A
    representation of few dimensions represents a single gene only by its loadings: effects are
    those of the part of the change that the components can represent.

    Each trajectory of a changed cell has a control trajectory with the same noise (common random
    numbers :cite:p:`Glasserman1992`), so that their difference has a much smaller error than that
    of two independent runs. Compositions are those of all descendants of the cells of a type: a
    cell weighs in proportion to its number of descendants. Standard errors are those of the
    simulation, by the delta method from the pairs, and at least about the weight of one pair; they
    do not contain the error of the fit. P values (two-sided z tests) are corrected for the number
    of fates and types :cite:p:`Benjamini1995`.

    Parameters
    ----------
    adata
        Cells with a fit whose representation has a decoder: a principal component analysis (PCA) of
        scanpy, an autoencoder of `pp.autoencoder`, or expression itself.
    genes
        Genes that are changed together: names, or a dict from names to values in the unit of the
        expression that the representation was computed from. If a value is None, `kind` determines
        it.
    %(cell_key)s
    kind
        Change of the genes without a value. ``"knockout"`` sets them to zero; ``"knockdown"`` to
        half of the expression of the cell; ``"overexpress"`` to the 99 % quantile of the cells of
        the fit, or to the expression of the cell if that is larger.
    factor
        For a knock-down, the share that remains; for over-expression, the factor by which the
        expression of the cell is multiplied instead.
    sustained
        Whether genes are held along the whole trajectory. Otherwise they are set at the start only.
    source
        Cells to change: a time (number) or its label, a query of `adata.obs`, names of cells, or a
        boolean mask. The cells of the first time by default. Every cell starts at its own time.
    %(target_time)s
    n_trajectories
        Number of trajectories of every cell.
    %(growth)s
    classifier, n_neighbors
        Classifier of the types at the end; see :func:`scdiffot.tl.sta_forward`.
    %(n_steps)s
    %(gene_symbols)s
    %(decoder)s
    name
        Name under which the result is stored; results of several names coexist. By default the
        names of the genes, joined by ``+``.
    %(rng)s
    %(key)s
    %(copy)s
    %(show_progress)s

    Returns
    -------
    None, or the copy. Sets the following field; :func:`scdiffot.get.perturbation` gives it as a
    table, :func:`scdiffot.pl.perturb` plots it:

    `adata.uns["{key}"]["perturbation"]["{name}"]` (with ``|`` for ``/``)
        - `sources` of shape ``(S,)``, the types of the changed cells (``"unknown"`` for those
          without one) and, last, ``"all"``;
        - `fates` of shape ``(K,)``, the types observed at the target time, ``"unknown"`` if some
          cells of that time have none, and ``"outside"``;
        - `control`, `perturbed`, their difference `shift`, with standard errors `control_se`,
          `perturbed_se` and `se`, and `p` and `p_adjusted`, all of shape ``(S, K)``;
        - `n_descendants` of shape ``(S, 2)``, of a cell without and with the change; `mass_ratio`,
          the second divided by the first, with `mass_se` and `mass_p`, all of shape ``(S,)``;
        - for every changed cell, its name in `cells`, `cell_shift` and `cell_se` of shape
          ``(n, K)``, and `cell_ratio` of shape ``(n,)``;
        - `outside_start`, the share of the changed cells that are far from all cells of the fit;
          `outside_way` of shape ``(2,)``, the share of trajectories that is far from all of them,
          without and with the change (for up to 500 cells, one trajectory each); and `outside_end`
          of shape ``(2,)``, the share of the descendants far from the cells of the target time;
        - the arguments: `name`, `genes`, `values` (NaN if determined by `kind`), `kind`,
          `sustained`, `target_time` and others.

    Raises
    ------
    KeyError
        If there is no fit, column, time, cell or gene of that name, or the representation was
        computed without a gene.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the representation has no decoder, a gene has the same expression in all cells, a value
        is negative although expression is not or is of another unit, a kind is undefined for a gene
        that goes below zero, the target does not come after all source cells, or a number is out of
        range. Nothing is written then.

    See Also
    --------
    scdiffot.tl.perturb_screen : Rank many genes by the effects of changing them.
    scdiffot.tl.sta_forward : Fates without a change.
    scdiffot.tl.regulation : Effects of genes on each other.
    scdiffot.pl.perturb : Plot the result.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.perturb(adata, {"X": 0.0}, "cell_type", sustained=True, n_trajectories=20)
    >>> adata.uns["scdiffot"]["perturbation"]["X"]["sources"].tolist()[-1]
    'all'
    """
    keys = Keys(key, "key")
    adata = as_writable(adata, copy=copy)
    generator = as_generator(rng)
    n_trajectories = check_count("n_trajectories", n_trajectories, 2)
    run = PerturbationRun.read(
        adata,
        cell_key,
        source,
        target_time=target_time,
        growth=growth,
        sustained=sustained,
        classifier=classifier,
        n_neighbors=n_neighbors,
        n_steps=n_steps,
        decoder=decoder,
        gene_symbols=gene_symbols,
        rng=generator,
        key=key,
    )
    _check_type_names(run)
    edits = run.expression.intervene(genes, kind, factor)
    name = "+".join(edits.names) if name is None else name
    entry = entry_name(adata, key, name)
    with cell_bar(f"perturbation {name}", len(run.cells), show=show_progress) as progress:
        contrasts = run.compare(
            [edits.intervention()],
            by_cell=True,
            n_trajectories=n_trajectories,
            rng=generator,
            progress=progress,
        )
    effects = _effects(run, contrasts, edits, name, generator)
    params = {
        "name": name,
        "genes": np.array(edits.names),
        "values": edits.values,
        "kind": kind,
        "factor": float("nan") if factor is None else float(factor),
        "sustained": bool(sustained),
        "cell_key": cell_key,
        "target_time": run.target,
        "n_trajectories": n_trajectories,
        "growth": run.growth,
        "cells": adata.obs_names[run.cells].to_numpy().astype(str),
    }
    write_perturbation(adata, keys, entry, params | effects)
    return adata if copy else None


def _check_type_names(run: PerturbationRun) -> None:
    """Refuse a cell type with the name of the row for all cells."""
    if ALL in run.inputs.names:
        raise ValueError(
            f"`cell_key` obs[{run.inputs.cell_key!r}] has a type {ALL!r}, which is the name for "
            "all cells: rename it."
        )


def _effects(
    run: PerturbationRun,
    contrasts: Contrasts,
    edits: GeneEdits,
    name: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Effects by source type and by cell, and the shares outside; warn if these are large."""
    codes = run.inputs.codes_with_unknown(run.cells)
    types = run.inputs.class_codes(run.cells)
    groups = [*(np.flatnonzero(codes == c) for c in types), np.arange(len(codes))]
    by_source = _by_source(contrasts, groups)
    by_cell = contrasts.compare()
    intervention = edits.intervention()
    start = run.outside_start(intervention)
    ends = (float(by_source["control"][-1, -1]), float(by_source["perturbed"][-1, -1]))
    trajectories = run.outside_trajectories(intervention, rng)
    run.warn_untyped(by_source["control"][-1])
    run.warn_outside(name, start, trajectories, ends)
    return {
        "accuracy": run.classifier.accuracy,
        "accuracy_by_type": run.classifier.accuracy_table(run.inputs.names),
        "sources": np.array([*run.inputs.classes[types], ALL]),
        "fates": np.array(run.fates),
        **by_source,
        "outside_start": start,
        "outside_way": np.array(trajectories),
        "outside_end": np.array(ends),
        "cell_shift": by_cell.shift[0],
        "cell_se": by_cell.se[0],
        "cell_ratio": by_cell.ratio[0],
    }


def _by_source(contrasts: Contrasts, groups: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Effects on groups of cells, the last of which contains all cells."""
    pooled = [contrasts.pool(rows).compare() for rows in groups]
    names = ("control", "control_se", "perturbed", "perturbed_se", "shift", "se")
    results = {name: np.stack([getattr(c, name)[0, 0] for c in pooled]) for name in names}
    sizes = np.array([len(rows) for rows in groups])
    p = two_sided_p_values(results["shift"], results["se"])
    # The row of all cells repeats the same cells, so it is corrected separately.
    adjusted = [adjust_p_values(part) for part in (p[:-1], p[-1:])]
    return {
        **results,
        "p": p,
        "p_adjusted": np.concatenate(adjusted),
        "n_cells": sizes,
        "n_descendants": np.stack([c.n_descendants[0, 0] for c in pooled]) / sizes[:, None],
        "mass_ratio": np.array([c.ratio[0, 0] for c in pooled]),
        "mass_se": np.array([c.ratio_se[0, 0] for c in pooled]),
        "mass_p": np.array([c.p_mass()[0, 0] for c in pooled]),
    }
