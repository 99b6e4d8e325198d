"""What becomes of cells when each gene in turn is changed."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._analysis.perturbation_run import PerturbationRun
from scdiffot._data.read.checks import check_count, some, suggest, writable
from scdiffot._data.read.gene_names import listed_genes
from scdiffot._data.write.perturbation import write_screen
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.logging import logger
from scdiffot._utils.progress import cell_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.lineage.contrasts import Comparison, two_sided
from scdiffot.core.scores.p_values import adjust_p_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._analysis.gene_edits import GeneEdits

# More combinations than anybody waits for.
MAX_COMBINATIONS = 50_000


def perturb_screen(
    adata: AnnData | MuData,
    cell_key: str,
    genes: Iterable[str] | None = None,
    *,
    kind: Literal["knockout", "knockdown", "overexpress"] = "knockout",
    factor: float | None = None,
    pairs: bool | Iterable[tuple[str, str]] = False,
    fate: str | None = None,
    sustained: bool = False,
    source: str | float | np.ndarray | Iterable[str] | None = None,
    target_time: float | str | None = None,
    n_trajectories: int = 50,
    n_first: int = 2,
    n_refined: int = 50,
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
    r"""Change many genes, one after the other, and rank them by what they do to the fates of cells.

    Each gene is changed as by :func:`scdiffot.tl.perturb`, in the same cells, and all share one control with the noise of its
    paths. Two passes save time: the first follows `n_first` paths of every cell for all genes, in half the steps; the second follows
    `n_trajectories` for the `n_refined` genes with the largest effects in the first, by fresh noise, so that their numbers do
    not suffer from having been selected. Both simulate the changed cells themselves, without an approximation, and every gene has its own
    standard error; `n_trajectories` of a gene tells which pass it is from. A gene of the first pass that does not stand out from its error
    is not shown to do nothing.

    By default the effect of a gene is the total variation distance between the compositions of the descendants of all cells,
    :math:`\frac12 \sum_A |\Delta \text{fate}_A|`, the share of descendants that end as something else. It is not negative, so
    without any effect it is about as large as its error; its p value is that of a Wald test that no fate changes. P values
    are corrected for the number of genes :cite:p:`Benjamini1995`.

    Parameters
    ----------
    adata
        Cells with a fit whose representation has a decoder.
    cell_key
        Column of `adata.obs` with the cell types.
    genes
        Genes to change; by default all that the decoder knows and that vary.
    kind, factor
        What happens to them; see :func:`scdiffot.tl.perturb`.
    pairs
        Whether to change all pairs of the genes, too, or a list of pairs.
    fate
        A fate (a type, ``"unknown"`` or ``"outside"``) whose change is the effect, with its sign; ranks are by size.
    sustained
        Whether genes are held along the whole way.
    source
        Cells to change, those of the first time by default; see :func:`scdiffot.tl.sta_forward`. A few hundred are enough.
    target_time
        Time of the fates, at which cells were observed; the last by default.
    n_trajectories
        Paths of every cell in the second pass.
    n_first
        Paths of every cell in the first pass.
    n_refined
        Number of genes (or pairs) in the second pass; if there are no more than that, there is no first one.
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
    None, or the copy. :func:`scdiffot.get.perturb_screen` gives the result as a table, :func:`scdiffot.pl.perturb_screen` draws it. Sets

    `adata.uns["{key}"]["perturb_screen"]`
        In the order of the ranks (those of the second pass first), arrays of one value for every gene: `gene`, and `partner` in a
        pair; `effect`, its standard error `se`, `p` and `p_adjusted`; `mass_ratio` with `mass_se` and `mass_p`, the number of
        descendants with the change over that without; `outside`, the share of the changed cells that are far from all cells of
        the fit; `n_trajectories`. Besides `fates` (K), the change `shift` of each, and `shift_se` (genes, K); `control` (K), the
        composition without a change; and what was asked for.

    Raises
    ------
    KeyError
        If there is no fit, column, time, cell, fate or gene of that name, or the representation was computed without a gene.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the representation has no decoder, a gene has the same expression in all cells, a kind makes no sense for a gene
        that goes below zero, there are too many pairs, the target does not come after all source cells, or a number is out of
        range. Nothing is written then.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.perturb_screen(adata, "cell_type", n_trajectories=20)
    >>> sorted(adata.uns["scdiffot"]["perturb_screen"]["gene"].tolist())
    ['X', 'Y']
    """
    keys = Keys(key, "key")
    adata = writable(adata, copy=copy)
    generator = as_generator(rng)
    n_trajectories = check_count("n_trajectories", n_trajectories, 2)
    n_first = check_count("n_first", n_first, 2)
    n_refined = check_count("n_refined", n_refined, 1)
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
    if fate is not None and fate not in experiment.fates:
        raise KeyError(
            f"`fate` is {fate!r}, which no cell has at the end. {suggest(fate, experiment.fates)}"
        )
    pairs = bool(pairs) if isinstance(pairs, np.bool_) else pairs
    targets, chosen = _combinations(experiment, genes, pairs, kind, factor)
    interventions = [targets.intervention(list(rows)) for rows in chosen]
    at = None if fate is None else experiment.fates.index(fate)
    n_second = n_refined if len(chosen) > n_refined else 0
    table: dict[str, np.ndarray] = {}
    with cell_bar(
        "perturbations", (len(chosen) + n_second) * len(experiment.cells), show=show_progress
    ) as progress:

        def follow(rows: np.ndarray, n_paths: int, n_steps: int) -> None:
            found = experiment.compare(
                [interventions[i] for i in rows],
                by_cell=False,
                n_trajectories=n_paths,
                n_steps=n_steps,
                rng=generator,
                progress=progress,
            )
            for name, values in _columns(found.compare(), at, n_paths).items():
                table.setdefault(name, values)[rows] = values

        if n_second:
            follow(np.arange(len(chosen)), n_first, -(-experiment.n_steps // 2))
            follow(
                np.argsort(-np.abs(table["effect"]), kind="stable")[:n_second],
                n_trajectories,
                experiment.n_steps,
            )
        else:
            follow(np.arange(len(chosen)), n_trajectories, experiment.n_steps)
    order = np.lexsort([-np.abs(table["effect"]), -table["n_trajectories"]])
    names = np.array([[targets.names[i] for i in (*rows, *rows)[:2]] for rows in chosen])
    partner = np.array(
        ["" if len(rows) == 1 else pair[1] for rows, pair in zip(chosen, names, strict=True)]
    )
    experiment.warn_untyped(table["control"][0])
    outside = np.array([experiment.outside_start(intervention) for intervention in interventions])
    write_screen(
        adata,
        keys,
        {
            "gene": names[order, 0],
            "partner": partner[order],
            **{name: values[order] for name, values in table.items() if name != "control"},
            "p_adjusted": adjust_p_values(table["p"])[order],
            "outside": outside[order],
            "fates": np.array(experiment.fates),
            "control": table["control"][0],
            "fate": fate or "",
            "kind": kind,
            "factor": float("nan") if factor is None else float(factor),
            "sustained": bool(sustained),
            "cell_key": cell_key,
            "target_time": experiment.target,
            "n_cells": len(experiment.cells),
            "growth": experiment.growth,
            "accuracy": experiment.classifier.accuracy,
            "accuracy_by_type": experiment.classifier.accuracy_table(experiment.inputs.names),
        },
    )
    return adata if copy else None


def _listed_pairs(pairs: Any) -> list[tuple[str, ...]]:
    """Pairs by name; none if all or no pairs are asked for."""
    if isinstance(pairs, bool):
        return []
    if isinstance(pairs, str) or not hasattr(pairs, "__iter__"):
        raise TypeError(
            f"`pairs` is a {type(pairs).__name__}: pass True, False, or pairs of names of genes."
        )
    listed = list(pairs)
    wrong = [pair for pair in listed if isinstance(pair, str) or not hasattr(pair, "__iter__")]
    if wrong:
        raise TypeError(
            f"`pairs` holds {some(wrong)}: pass True, False, or pairs of names of genes."
        )
    return [tuple(pair) for pair in listed]


def _combinations(
    experiment: PerturbationRun,
    genes: Iterable[str] | None,
    pairs: Any,
    kind: str,
    factor: float | None,
) -> tuple[GeneEdits, list[tuple[int, ...]]]:
    """All genes that take part, and which of them are changed together."""
    expression = experiment.expression
    listed = _listed_pairs(pairs)
    wrong = [pair for pair in listed if len(pair) != 2 or pair[0] == pair[1]]
    if wrong:
        raise ValueError(
            f"`pairs` holds {some(wrong)}: pass True, or pairs of two different genes."
        )
    if isinstance(genes, str):
        raise TypeError(
            "`genes` is a single name: pass a list of names, or use tl.perturb for one gene."
        )
    if genes is None:
        varying = expression.space.named(np.flatnonzero(~expression.constant))
        single = [str(name) for name in expression.space.names[varying]]
        logger.info(
            "The screen leaves out %d genes that do not vary.", int(expression.constant.sum())
        )
    else:
        single = listed_genes(genes)
    n_pairs = len(single) * (len(single) - 1) // 2 if pairs is True else len(listed)
    if len(single) + n_pairs > MAX_COMBINATIONS:
        raise ValueError(
            f"`pairs` of {len(single)} genes are {n_pairs}, more than {MAX_COMBINATIONS}: pass fewer `genes`, those that rank first alone, say."
        )
    partners = [name for pair in listed for name in pair]
    if partners:
        expression.space.find(list(dict.fromkeys(partners)), "pairs")
    targets = expression.intervene(
        [*single, *(n for n in dict.fromkeys(partners) if n not in set(single))], kind, factor
    )
    rows = {name: i for i, name in enumerate(targets.names)}
    together = (
        list(combinations(range(len(single)), 2))
        if pairs is True
        else [(rows[a], rows[b]) for a, b in listed]
    )
    return targets, [*((i,) for i in range(len(single))), *together]


def _columns(found: Comparison, at: int | None, n_paths: int) -> dict[str, np.ndarray]:
    """A value, or one of every fate, for every intervention."""
    shift, se = found.shift[:, 0], found.se[:, 0]
    if at is None:
        signs = np.sign(shift)
        effect = np.abs(shift).sum(axis=1) / 2
        effect_se = (
            np.sqrt(np.maximum(np.einsum("ck,ckl,cl->c", signs, found.covariance[:, 0], signs), 0))
            / 2
        )
        p = found.p_any()[:, 0]
    else:
        effect, effect_se = shift[:, at], se[:, at]
        p = two_sided(effect, effect_se)
    return {
        "effect": effect.copy(),
        "se": effect_se.copy(),
        "p": p,
        "mass_ratio": found.ratio[:, 0],
        "mass_se": found.ratio_se[:, 0],
        "mass_p": found.p_mass()[:, 0],
        "n_trajectories": np.full(len(shift), n_paths),
        "shift": shift.copy(),
        "shift_se": se,
        "control": found.control[:, 0],
    }
