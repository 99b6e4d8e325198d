"""What becomes of cells whose genes are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._analysis.perturbation_run import PerturbationRun
from scdiffot._data.read.checks import check_count, writable
from scdiffot._data.write.perturbation import entry_name, write_perturbation
from scdiffot._utils.keys import ALL, DEFAULT, Keys
from scdiffot._utils.progress import cell_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.lineage.contrasts import two_sided
from scdiffot.core.scores.p_values import adjust_p_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anndata import AnnData
    from mudata import MuData

    from scdiffot.core.lineage.contrasts import Contrasts


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
    r"""Change genes of cells, and compare what becomes of them with what becomes of the same cells unchanged.

    The expression of a cell in the state :math:`z` is what the decoder makes of it, :math:`x = D(z)`, so that a gene that was only
    not detected counts as it is in cells like this one. With the genes changed to :math:`x'`, the state is

    .. math:: E(z) = z + \text{encode}(x') - \text{encode}(x).

    A change *at the start* moves the cell there, from where everything takes its course; the gene may come back. A *sustained*
    one holds the gene: at every time drift and growth are those at :math:`E(Z)`, and the type at the end is that of
    :math:`E(Z)`, too, while :math:`Z` itself goes on without the change, which therefore does not pile up. As the held genes take cells away from
    all others by design, the type is then that of the nearest cell however far it is. Where states are
    expression itself, this is exactly the system with these genes as constants. A representation of few dimensions sees a single
    gene by the weight that it has there: effects are those of the part of the change that the components can show.

    Each path of a changed cell has a partner without the change that meets the same noise (common random numbers
    :cite:p:`Glasserman1992`), so their difference has a far smaller error than two runs. Compositions are those of all descendants of
    the cells of a type; a cell with more of them counts for more. Standard errors are those of the simulation, by the delta
    method from the pairs, and at least about the weight of one pair; they do not contain the error of the fit.
    P values (two-sided z tests) are corrected for the number of fates and types :cite:p:`Benjamini1995`.

    Parameters
    ----------
    adata
        Cells with a fit whose representation has a decoder: a PCA of scanpy, an autoencoder of `pp.autoencoder`, or expression itself.
    genes
        The genes that are changed together: names, or a dict from names to values in the unit of the expression that the
        representation was computed from. None as a value leaves it to `kind`.
    cell_key
        Column of `adata.obs` with the cell types.
    kind
        What happens to genes without a value. ``"knockout"`` sets them to zero; ``"knockdown"`` to half of what the cell has;
        ``"overexpress"`` to what only one in a hundred cells of the fit exceeds, or to what the cell has if that is more.
    factor
        For a knock-down, the share that is left; for over-expression, by how much the gene of a cell is multiplied instead.
    sustained
        Whether genes are held along the whole way. Otherwise they are set at the start only.
    source
        Cells to change: a time (number) or its label, a query of `adata.obs`, names of cells, or a boolean mask. The cells of the first
        time by default. Every cell starts at its own time.
    target_time
        Time of the fates (number or label), at which cells were observed; the last by default.
    n_trajectories
        Paths of every cell.
    growth
        Whether to count that cells divide and die. By default, if the fit knows it.
    classifier, n_neighbors
        How types are told at the end; see :func:`scdiffot.tl.sta_forward`.
    n_steps
        Steps in an interval between snapshots, 10 by default.
    gene_symbols
        Column of `adata.var` with the gene names to use instead of `adata.var_names`, here and in
        the result.
    decoder
        Decoder of the representation: an object with methods `encode` and `decode`, or a pair of such
        functions, on tensors. By default the decoder that `adata` holds.
    name
        Name under which the result is stored; several may lie side by side. By default the names of the genes, joined by ``+``.
    rng
        Seed or generator of the random numbers. Equal seeds give equal results on one machine.
    key
        Name of the fit.
    copy
        Whether to return a copy instead of writing into `adata`.
    show_progress
        Whether to show a progress bar.

    Returns
    -------
    None, or the copy. :func:`scdiffot.get.perturbation` gives the result as a table, :func:`scdiffot.pl.perturb` draws it. Sets

    `adata.uns["{key}"]["perturbation"]["{name}"]` (with ``|`` for ``/``)
        `sources` (S), the types of the changed cells (``"unknown"`` for those without one) and last ``"all"``, and `fates`
        (K), the types observed at the target time, ``"unknown"`` if cells there have none, and ``"outside"``; `control`, `perturbed`, their difference `shift`, with standard errors `control_se`, `perturbed_se` and
        `se`, and `p` and `p_adjusted`, all (S, K). `n_descendants` (S, 2), of a cell without and with the change;
        `mass_ratio`, the second over the first, with `mass_se` and `mass_p` (S). For every cell in `cells` (n) `cell_shift` and
        `cell_se` (n, K) and `cell_ratio` (n). `outside_start`, the share of the changed cells that are far from all cells of
        the fit; `outside_way` (2), the share of their way for which cells are far from all of them, without and with the change (for up
        to 500 cells, a path each); and `outside_end` (2), the share of the descendants far from the cells of the target time. Besides, what was asked for: `name`, `genes`, `values` (NaN: by kind), `kind`, `sustained`, `target_time` and others.

    Raises
    ------
    KeyError
        If there is no fit, column, time, cell or gene of that name, or the representation was computed without a gene.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the representation has no decoder, a gene has the same expression in all cells, a value is negative where
        expression is not or of another unit, a kind makes no sense for a gene that goes below zero, the target does not
        come after all source cells, or a number is out of range. Nothing is written then.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.perturb(adata, {"X": 0.0}, "cell_type", sustained=True, n_trajectories=20)
    >>> adata.uns["scdiffot"]["perturbation"]["X"]["sources"].tolist()[-1]
    'all'
    """
    keys = Keys(key, "key")
    adata = writable(adata, copy=copy)
    generator = as_generator(rng)
    n_trajectories = check_count("n_trajectories", n_trajectories, 2)
    experiment = PerturbationRun.read(
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
    setting = experiment.inputs
    if ALL in setting.names:
        raise ValueError(
            f"`cell_key` obs[{cell_key!r}] has a type {ALL!r}, which is the name for all cells: rename it."
        )
    targets = experiment.expression.intervene(genes, kind, factor)
    name = "+".join(targets.names) if name is None else name
    entry = entry_name(adata, key, name)
    intervention = targets.intervention()
    with cell_bar(f"perturbation {name}", len(experiment.cells), show=show_progress) as progress:
        found = experiment.compare(
            [intervention],
            by_cell=True,
            n_trajectories=n_trajectories,
            rng=generator,
            progress=progress,
        )
    codes = setting.codes[experiment.cells]
    types = setting.class_codes(experiment.cells)
    codes = np.where(codes < 0, len(setting.names), codes)
    results = _by_source(
        found, [*(np.flatnonzero(codes == c) for c in types), np.arange(len(codes))]
    )
    cells = found.compare()
    outside = experiment.outside_start(intervention)
    ends = (float(results["control"][-1, -1]), float(results["perturbed"][-1, -1]))
    way = experiment.outside_trajectories(intervention, generator)
    experiment.warn_untyped(results["control"][-1])
    experiment.warn_outside(name, outside, way, ends)
    write_perturbation(
        adata,
        keys,
        entry,
        {
            "name": name,
            "genes": np.array(targets.names),
            "values": targets.values,
            "kind": kind,
            "factor": float("nan") if factor is None else float(factor),
            "sustained": bool(sustained),
            "cell_key": cell_key,
            "target_time": experiment.target,
            "n_trajectories": n_trajectories,
            "growth": experiment.growth,
            "accuracy": experiment.classifier.accuracy,
            "accuracy_by_type": experiment.classifier.accuracy_table(setting.names),
            "sources": np.array([*setting.classes[types], ALL]),
            "fates": np.array(experiment.fates),
            **results,
            "outside_start": outside,
            "outside_way": np.array(way),
            "outside_end": np.array(ends),
            "cells": adata.obs_names[experiment.cells].to_numpy().astype(str),
            "cell_shift": cells.shift[0],
            "cell_se": cells.se[0],
            "cell_ratio": cells.ratio[0],
        },
    )
    return adata if copy else None


def _by_source(found: Contrasts, groups: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Sums over groups of cells, of which the last has all."""
    pooled = [found.pool(rows).compare() for rows in groups]
    names = ("control", "control_se", "perturbed", "perturbed_se", "shift", "se")
    results = {name: np.stack([getattr(c, name)[0, 0] for c in pooled]) for name in names}
    sizes = np.array([len(rows) for rows in groups])
    p = two_sided(results["shift"], results["se"])
    # all cells are no further test: they are the same cells again
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
