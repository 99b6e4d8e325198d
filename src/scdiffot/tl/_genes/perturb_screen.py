"""Ranks of genes by the effects of changing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._analysis.perturbation_run import PerturbationRun
from scdiffot._data.read.checks import as_writable, check_count, suggest
from scdiffot._data.write.perturbation import write_screen
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.rng import as_generator
from scdiffot.core.scores.p_values import adjust_p_values

from .gene_combinations import gene_combinations
from .screen_simulation import simulate_screen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._analysis.gene_edits import GeneEdits


@fill_parameters
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
    r"""Change many genes one by one, and rank them by their effects on the fates of cells.

    Each gene is changed as by :func:`scdiffot.tl.perturb`, in the same cells; all genes share one
    control with the same noise. Two passes save time. The first simulates `n_first` trajectories of
    every cell for all genes, in half the steps; the second simulates `n_trajectories` for the
    `n_refined` genes with the largest effects in the first, with fresh noise, so that their effects
    have no selection bias. Both passes simulate the changed cells themselves, without an
    approximation, and every gene has its own standard error; `n_trajectories` of a gene identifies
    its pass. A gene of the first pass without a significant effect may still have one.

    By default, the effect of a gene is the total variation distance between the compositions of the
    descendants of all cells, :math:`\frac12 \sum_A |\Delta \text{fate}_A|`: the share of
    descendants with another fate. It is not negative, so that without any effect it is about as
    large as its error; its p value is that of a Wald test that no fate changes. P values are
    corrected for the number of genes :cite:p:`Benjamini1995`.

    Parameters
    ----------
    adata
        Cells with a fit whose representation has a decoder.
    %(cell_key)s
    genes
        Genes to change; by default all genes of the decoder that vary.
    kind, factor
        Change of the genes; see :func:`scdiffot.tl.perturb`.
    pairs
        Whether to change all pairs of the genes, too, or a list of pairs.
    fate
        A fate (a type, ``"unknown"`` or ``"outside"``) whose change is the effect, with its sign;
        genes are ranked by its size.
    sustained
        Whether genes are held along the whole trajectory. Otherwise they are set at the start only.
    source
        Cells to change, those of the first time by default; see :func:`scdiffot.tl.sta_forward`. A
        few hundred are enough.
    %(target_time)s
    n_trajectories
        Number of trajectories of every cell in the second pass.
    n_first
        Number of trajectories of every cell in the first pass.
    n_refined
        Number of genes (or pairs) in the second pass; if there are no more genes, there is no first
        pass.
    %(growth)s
    classifier, n_neighbors
        Classifier of the types at the end; see :func:`scdiffot.tl.sta_forward`.
    %(n_steps)s
    %(gene_symbols)s
    %(decoder)s
    %(rng)s
    %(key)s
    %(copy)s
    %(show_progress)s

    Returns
    -------
    None, or the copy. Sets the following field; :func:`scdiffot.get.perturb_screen` gives it as a
    table, :func:`scdiffot.pl.perturb_screen` plots it:

    `adata.uns["{key}"]["perturb_screen"]`
        - in the order of the ranks (those of the second pass first), arrays of one value for every
          gene: `gene`, and `partner` in a pair; `effect`, its standard error `se`, `p` and
          `p_adjusted`; `mass_ratio` with `mass_se` and `mass_p`, the number of descendants with the
          change divided by that without; `outside`, the share of the changed cells that are far
          from all cells of the fit; `n_trajectories`;
        - `fates` of shape ``(K,)``, the change `shift` of each fate, and `shift_se`, of shape
          ``(genes, K)``; `control` of shape ``(K,)``, the composition without a change;
        - the arguments.

    Raises
    ------
    KeyError
        If there is no fit, column, time, cell, fate or gene of that name, or the representation was
        computed without a gene.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the representation has no decoder, a gene has the same expression in all cells, a kind is
        undefined for a gene that goes below zero, there are too many pairs, the target does not
        come after all source cells, or a number is out of range. Nothing is written then.

    See Also
    --------
    scdiffot.tl.perturb : The effect of one change, by cell type and by cell.
    scdiffot.tl.trajectory_genes : Genes that differ between fates.
    scdiffot.pl.perturb_screen : Plot the ranks.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.perturb_screen(adata, "cell_type", n_trajectories=20)
    >>> sorted(adata.uns["scdiffot"]["perturb_screen"]["gene"].tolist())
    ['X', 'Y']
    """
    keys = Keys(key, "key")
    adata = as_writable(adata, copy=copy)
    generator = as_generator(rng)
    n_trajectories = check_count("n_trajectories", n_trajectories, 2)
    n_first = check_count("n_first", n_first, 2)
    n_refined = check_count("n_refined", n_refined, 1)
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
    if fate is not None and fate not in run.fates:
        raise KeyError(
            f"`fate` is {fate!r}, which no cell has at the end. {suggest(fate, run.fates)}"
        )
    pairs = bool(pairs) if isinstance(pairs, np.bool_) else pairs
    edits, combinations = gene_combinations(run.expression, genes, pairs, kind, factor)
    table = simulate_screen(
        run,
        [edits.intervention(list(rows)) for rows in combinations],
        n_trajectories=n_trajectories,
        n_first=n_first,
        n_refined=n_refined,
        fate=fate,
        rng=generator,
        show_progress=show_progress,
    )
    run.warn_untyped(table["control"][0])
    params = {
        "fate": fate or "",
        "kind": kind,
        "factor": float("nan") if factor is None else float(factor),
        "sustained": bool(sustained),
        "cell_key": cell_key,
        "target_time": run.target,
        "n_cells": len(run.cells),
        "growth": run.growth,
    }
    write_screen(adata, keys, _ranked(run, table, edits, combinations) | params)
    return adata if copy else None


def _ranked(
    run: PerturbationRun,
    table: dict[str, np.ndarray],
    edits: GeneEdits,
    combinations: list[tuple[int, ...]],
) -> dict[str, Any]:
    """Order the effects by their size, those of the second pass first."""
    order = np.lexsort([-np.abs(table["effect"]), -table["n_trajectories"]])
    names = np.array([[edits.names[i] for i in (*rows, *rows)[:2]] for rows in combinations])
    partner = np.array(
        ["" if len(rows) == 1 else pair[1] for rows, pair in zip(combinations, names, strict=True)]
    )
    outside = np.array([run.outside_start(edits.intervention(list(rows))) for rows in combinations])
    return {
        "gene": names[order, 0],
        "partner": partner[order],
        **{name: values[order] for name, values in table.items() if name != "control"},
        "p_adjusted": adjust_p_values(table["p"])[order],
        "outside": outside[order],
        "fates": np.array(run.fates),
        "control": table["control"][0],
        "accuracy": run.classifier.accuracy,
        "accuracy_by_type": run.classifier.accuracy_table(run.inputs.names),
    }
