"""Values of cells by name: columns of `obs` and expression of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot._data.read.checks import suggest
from scdiffot._data.read.columns import list_columns, read_column
from scdiffot._data.read.expression import read_expression, to_dense
from scdiffot._data.read.gene_names import gene_columns, gene_names

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData


def named_values(
    adata: AnnData | MuData,
    name: str,
    *,
    gene_symbols: str | None = None,
    layer: str | None = None,
) -> pd.Series:
    """Read a column of `obs`, or a gene.

    Parameters
    ----------
    adata
        The cells.
    name
        Column of `obs` or gene; of a MuData also ``"modality:name"``.
    gene_symbols
        Column of `var` with gene names to use instead of `var_names`.
    layer
        Layer with the expression of genes; `X` by default.

    Returns
    -------
    One value for each cell, in the order of the cells; NaN where a modality lacks the cell.

    Raises
    ------
    KeyError
        If there is no such column, gene or layer.
    """
    import pandas as pd

    if name in list_columns(adata):
        return read_column(adata, name, "color")
    modality, _, entry = name.partition(":")
    mod = getattr(adata, "mod", {})
    owner, gene = (mod[modality], entry) if modality in mod else (adata, name)
    if mod and owner is adata:
        owner = next((part for part in mod.values() if _has_gene(part, gene, gene_symbols)), adata)
    names = [candidate for candidate in gene_names(owner, gene_symbols) if candidate is not None]
    if gene not in names:
        prefix = "" if owner is adata else f"{modality}:"
        available = [*list_columns(adata), *(f"{prefix}{candidate}" for candidate in names)]
        raise KeyError(
            f"`color` is {name!r}, which is neither a column of obs nor a gene. "
            f"{suggest(name, available)}"
        )
    gene_index = gene_columns(owner, gene, argument="color", gene_symbols=gene_symbols)
    expression = to_dense(read_expression(owner, layer, gene_index))[:, 0]
    values = pd.Series(expression, index=owner.obs_names)
    return values if owner is adata else values.reindex(adata.obs_names)


def _has_gene(adata: AnnData, gene: str, gene_symbols: str | None) -> bool:
    # not every modality has the column `gene_symbols`
    return (gene_symbols is None or gene_symbols in adata.var) and gene in gene_names(
        adata, gene_symbols
    )
