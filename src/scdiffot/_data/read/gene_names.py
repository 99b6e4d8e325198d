"""Which genes the user means."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import some, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData


def gene_names(adata: AnnData, gene_symbols: str | None = None) -> np.ndarray:
    """Names of all genes: `var_names`, or a column of `var`, with None where that is missing or empty.

    Raises
    ------
    KeyError
        If there is no such column.
    TypeError
        If `gene_symbols` is not a string.
    """
    if gene_symbols is None:
        return adata.var_names.to_numpy().astype(object)
    if not isinstance(gene_symbols, str):
        raise TypeError(
            f"`gene_symbols` is a {type(gene_symbols).__name__}: pass the name of a column of var."
        )
    if gene_symbols not in adata.var.columns:
        raise KeyError(
            f"`gene_symbols` is {gene_symbols!r}, which is no column of var. {suggest(gene_symbols, adata.var.columns)}"
        )
    column = adata.var[gene_symbols]
    names = [
        None if missing else str(name) for name, missing in zip(column, column.isna(), strict=True)
    ]
    return np.array([name or None for name in names], dtype=object)


def listed_genes(genes: Any, argument: str = "genes") -> list[str]:
    """Names as a list, whatever holds them.

    Raises
    ------
    TypeError
        If they are not names.
    ValueError
        If there is none, or one twice.
    """
    if isinstance(genes, str):
        return [str(genes)]
    if not hasattr(genes, "__iter__") or np.ndim(genes if hasattr(genes, "dtype") else ()) != 1:
        raise TypeError(f"`{argument}` is a {type(genes).__name__}: pass names of genes.")
    names = sorted(genes, key=str) if isinstance(genes, set | frozenset) else list(genes)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise TypeError(f"`{argument}` holds {some(wrong)}: pass names of genes.")
    if not names:
        raise ValueError(f"`{argument}` names no gene: pass at least one.")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"`{argument}` names a gene twice: {some(repeated)}; name every gene once."
        )
    return [str(name) for name in names]


def find_genes(
    names: np.ndarray,
    wanted: Iterable[str],
    *,
    argument: str = "genes",
    gene_symbols: str | None = None,
) -> np.ndarray:
    """Positions of genes among all names, in the order in which they are named.

    Raises
    ------
    KeyError
        If a gene does not exist.
    ValueError
        If several genes have a name.
    """
    wanted = list(wanted)
    position = {name: i for i, name in enumerate(names) if name is not None}
    unknown = [name for name in wanted if name not in position]
    if unknown:
        hints = "".join(suggest(name, position).partition("There is")[0] for name in unknown[:3])
        raise KeyError(
            f"`{argument}` names {some(unknown)}, not among {place(gene_symbols)}. {hints}".rstrip()
        )
    check_unambiguous(names, wanted, argument=argument, gene_symbols=gene_symbols)
    return np.array([position[name] for name in wanted], dtype=np.intp)


def check_unambiguous(
    names: np.ndarray,
    used: Iterable[str],
    *,
    argument: str = "adata",
    gene_symbols: str | None = None,
) -> None:
    """Refuse names in use that several genes have.

    Raises
    ------
    ValueError
        If there is one.
    """
    counts = Counter(names.tolist())
    ambiguous = [name for name in dict.fromkeys(used) if counts[name] > 1]
    if ambiguous:
        remedy = (
            "make them unique with adata.var_names_make_unique()"
            if gene_symbols is None
            else "name these genes by adata.var_names, or make the column unique"
        )
        raise ValueError(
            f"`{argument}` uses {some(ambiguous)}, duplicated in {place(gene_symbols)}, so it is not clear which gene is meant: "
            f"{remedy}."
        )


def match_genes(adata: AnnData, names: Iterable[str], *, argument: str = "adata") -> np.ndarray:
    """Positions of genes among `var_names`, -1 where they are missing.

    Raises
    ------
    ValueError
        If one of the names is duplicated there, or in the list.
    """
    wanted = [str(name) for name in names]
    check_unambiguous(np.array(wanted, dtype=object), wanted, argument=argument)
    own = gene_names(adata)
    check_unambiguous(own, wanted, argument=argument)
    position = {name: i for i, name in enumerate(own)}
    return np.array([position.get(name, -1) for name in wanted], dtype=np.intp)


def gene_columns(
    adata: AnnData, genes: Any = None, *, argument: str = "genes", gene_symbols: str | None = None
) -> np.ndarray:
    """Positions of genes in the order in which they are named; by default of all that have a name.

    Raises
    ------
    KeyError
        If there is no such gene or column of symbols.
    TypeError
        If a name is not a string.
    ValueError
        If none is named, one twice, or several genes have a name that is used.
    """
    names = gene_names(adata, gene_symbols)
    if genes is not None:
        return find_genes(
            names, listed_genes(genes, argument), argument=argument, gene_symbols=gene_symbols
        )
    columns = np.flatnonzero([name is not None for name in names])
    check_unambiguous(names, names[columns], gene_symbols=gene_symbols)
    return columns


def place(gene_symbols: str | None) -> str:
    """Where names of genes are."""
    return "adata.var_names" if gene_symbols is None else f"adata.var[{gene_symbols!r}]"
