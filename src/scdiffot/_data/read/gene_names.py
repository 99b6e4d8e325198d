"""Resolve names of genes to positions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import format_list, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData


def gene_names(adata: AnnData, gene_symbols: str | None = None) -> np.ndarray:
    """Read the names of all genes: `var_names`, or a column of `var`, None where a name is missing.

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
            f"`gene_symbols` is {gene_symbols!r}, which is no column of var. "
            f"{suggest(gene_symbols, adata.var.columns)}"
        )
    column = adata.var[gene_symbols]
    names = [
        None if missing else str(name) for name, missing in zip(column, column.isna(), strict=True)
    ]
    return np.array([name or None for name in names], dtype=object)


def listed_genes(genes: Any, argument: str = "genes") -> list[str]:
    """Return one name or several as a list of strings.

    Raises
    ------
    TypeError
        If they are not names.
    ValueError
        If the list is empty, or a name occurs twice.
    """
    if isinstance(genes, str):
        return [str(genes)]
    if not hasattr(genes, "__iter__") or np.ndim(genes if hasattr(genes, "dtype") else ()) != 1:
        raise TypeError(f"`{argument}` is a {type(genes).__name__}: pass names of genes.")
    names = sorted(genes, key=str) if isinstance(genes, set | frozenset) else list(genes)
    invalid_names = [name for name in names if not isinstance(name, str)]
    if invalid_names:
        raise TypeError(f"`{argument}` holds {format_list(invalid_names)}: pass names of genes.")
    if not names:
        raise ValueError(f"`{argument}` names no gene: pass at least one.")
    duplicates = [name for name, count in Counter(names).items() if count > 1]
    if duplicates:
        raise ValueError(
            f"`{argument}` names a gene twice: {format_list(duplicates)}; name every gene once."
        )
    return [str(name) for name in names]


def find_genes(
    names: np.ndarray,
    requested_names: Iterable[str],
    *,
    argument: str = "genes",
    gene_symbols: str | None = None,
) -> np.ndarray:
    """Positions of genes among all names, in the order of the request.

    Raises
    ------
    KeyError
        If a gene does not exist.
    ValueError
        If several genes share a name.
    """
    requested_names = list(requested_names)
    position = {name: i for i, name in enumerate(names) if name is not None}
    missing_names = [name for name in requested_names if name not in position]
    if missing_names:
        hints = "".join(
            suggest(name, position).partition("There is")[0] for name in missing_names[:3]
        )
        raise KeyError(
            f"`{argument}` names {format_list(missing_names)}, not among "
            f"{names_source(gene_symbols)}. {hints}".rstrip()
        )
    check_unambiguous(names, requested_names, argument=argument, gene_symbols=gene_symbols)
    return np.array([position[name] for name in requested_names], dtype=np.intp)


def check_unambiguous(
    names: np.ndarray,
    requested_names: Iterable[str],
    *,
    argument: str = "adata",
    gene_symbols: str | None = None,
) -> None:
    """Refuse names that several genes share.

    Raises
    ------
    ValueError
        If one of the names is shared.
    """
    counts = Counter(names.tolist())
    ambiguous_names = [name for name in dict.fromkeys(requested_names) if counts[name] > 1]
    if ambiguous_names:
        remedy = (
            "make them unique with adata.var_names_make_unique()"
            if gene_symbols is None
            else "name these genes by adata.var_names, or make the column unique"
        )
        raise ValueError(
            f"`{argument}` uses {format_list(ambiguous_names)}, duplicated in "
            f"{names_source(gene_symbols)}, so it is not clear which gene is meant: {remedy}."
        )


def match_genes(adata: AnnData, names: Iterable[str], *, argument: str = "adata") -> np.ndarray:
    """Positions of genes among `var_names`, -1 where they are missing.

    Raises
    ------
    ValueError
        If one of the names is duplicated there, or in the list.
    """
    requested_names = [str(name) for name in names]
    check_unambiguous(np.array(requested_names, dtype=object), requested_names, argument=argument)
    all_names = gene_names(adata)
    check_unambiguous(all_names, requested_names, argument=argument)
    position = {name: i for i, name in enumerate(all_names)}
    return np.array([position.get(name, -1) for name in requested_names], dtype=np.intp)


def gene_columns(
    adata: AnnData, genes: Any = None, *, argument: str = "genes", gene_symbols: str | None = None
) -> np.ndarray:
    """Positions of genes, in the order of the request; by default of all genes that have a name.

    Raises
    ------
    KeyError
        If there is no such gene or column of symbols.
    TypeError
        If a name is not a string.
    ValueError
        If none is named, one is named twice, or several genes share a name that is used.
    """
    names = gene_names(adata, gene_symbols)
    if genes is not None:
        return find_genes(
            names, listed_genes(genes, argument), argument=argument, gene_symbols=gene_symbols
        )
    columns = np.flatnonzero([name is not None for name in names])
    check_unambiguous(names, names[columns], gene_symbols=gene_symbols)
    return columns


def names_source(gene_symbols: str | None) -> str:
    """Describe the source of gene names, for messages."""
    return "adata.var_names" if gene_symbols is None else f"adata.var[{gene_symbols!r}]"
