"""Genes of a perturbation screen, alone and in pairs."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import format_list
from scdiffot._data.read.gene_names import listed_genes
from scdiffot._utils.logging import logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scdiffot._analysis.gene_edits import Expression, GeneEdits

# Largest number of genes and pairs of a screen, to limit its duration.
MAX_COMBINATIONS = 50_000


def _listed_pairs(pairs: Any) -> list[tuple[str, ...]]:
    """Pairs by name; an empty list if `pairs` is a flag."""
    if isinstance(pairs, bool):
        return []
    if isinstance(pairs, str) or not hasattr(pairs, "__iter__"):
        raise TypeError(
            f"`pairs` is a {type(pairs).__name__}: pass True, False, or pairs of names of genes."
        )
    names = list(pairs)
    invalid = [pair for pair in names if isinstance(pair, str) or not hasattr(pair, "__iter__")]
    if invalid:
        raise TypeError(
            f"`pairs` holds {format_list(invalid)}: pass True, False, or pairs of names of genes."
        )
    return [tuple(pair) for pair in names]


def gene_combinations(
    expression: Expression,
    genes: Iterable[str] | None,
    pairs: Any,
    kind: str,
    factor: float | None,
) -> tuple[GeneEdits, list[tuple[int, ...]]]:
    """Find the genes of a screen, and which of them are changed together.

    Parameters
    ----------
    expression
        Expression of the genes.
    genes
        Names of the genes; all genes that vary if None.
    pairs
        Whether to change all pairs, too, or a list of pairs.
    kind, factor
        Change of the genes.

    Returns
    -------
    Changes of all genes; and positions in them of the genes of every combination.

    Raises
    ------
    KeyError
        If a gene is unknown.
    TypeError
        If an argument has the wrong type.
    ValueError
        If a pair is no pair, or there are too many.
    """
    pair_list = _listed_pairs(pairs)
    invalid = [pair for pair in pair_list if len(pair) != 2 or pair[0] == pair[1]]
    if invalid:
        raise ValueError(
            f"`pairs` holds {format_list(invalid)}: pass True, or pairs of two different genes."
        )
    if isinstance(genes, str):
        raise TypeError(
            "`genes` is a single name: pass a list of names, or use tl.perturb for one gene."
        )
    if genes is None:
        varying = expression.space.select_named(np.flatnonzero(~expression.constant))
        single = [str(name) for name in expression.space.names[varying]]
        logger.info(
            "The screen leaves out %d genes that do not vary.", int(expression.constant.sum())
        )
    else:
        single = listed_genes(genes)
    n_pairs = len(single) * (len(single) - 1) // 2 if pairs is True else len(pair_list)
    if len(single) + n_pairs > MAX_COMBINATIONS:
        raise ValueError(
            f"`pairs` of {len(single)} genes are {n_pairs}, more than {MAX_COMBINATIONS}: pass "
            "fewer `genes`, those that rank first alone, say."
        )
    partners = [name for pair in pair_list for name in pair]
    if partners:
        expression.space.find(list(dict.fromkeys(partners)), "pairs")
    edits = expression.intervene(
        [*single, *(n for n in dict.fromkeys(partners) if n not in set(single))], kind, factor
    )
    rows = {name: i for i, name in enumerate(edits.names)}
    joint = (
        list(combinations(range(len(single)), 2))
        if pairs is True
        else [(rows[a], rows[b]) for a, b in pair_list]
    )
    return edits, [*((i,) for i in range(len(single))), *joint]
