"""Genes whose expression varies in space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from anndata import AnnData

from scdiffot._analysis.spatial_graphs import check_sliced, link_spots
from scdiffot._data.read.checks import as_writable, check_count, is_mudata
from scdiffot._data.read.expression import check_counts, read_expression
from scdiffot._data.read.gene_names import gene_columns, gene_names
from scdiffot._data.read.labels import cell_labels, column_names
from scdiffot._data.read.slices import read_slices
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot.core.scores.p_values import adjust_p_values
from scdiffot.core.spatial.domains.autocorrelation import moran_z

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from scipy import sparse

    from scdiffot._data.read.slices import TissueSlices


@fill_parameters
def spatial_genes(
    adata: AnnData,
    genes: Iterable[str] | None = None,
    *,
    gene_symbols: str | None = None,
    domain_key: str | None = None,
    layer: str | None = None,
    method: Literal["t-test", "wilcoxon"] = "t-test",
    n_neighbors: int = 6,
    spatial_key: str = "spatial",
    library_key: str | None = None,
    connectivity_key: str | None = None,
    key_added: str = DEFAULT,
    copy: bool = False,
) -> AnnData | None:
    r"""Find genes whose expression varies in space, and genes that mark domains.

    Moran's I :cite:p:`Moran1950` of a gene is the correlation between a spot and the mean of its
    neighbours: 0 without a pattern, close to 1 for smooth patterns. It is computed slice by slice,
    by scanpy, as in squidpy :cite:p:`Palla2022`, with one-sided p-values under normality. The
    z-scores of the slices are summed and divided by the square root of their number
    :cite:p:`Stouffer1949`; p-values are adjusted over the genes :cite:p:`Benjamini1995`. Markers
    compare the spots of a domain with all others, by ``scanpy.tl.rank_genes_groups``.

    Parameters
    ----------
    adata
        Spots; of a MuData, one modality.
    genes
        Genes to test; all by default.
    %(gene_symbols)s
    domain_key
        Column of `adata.obs` with domains (or any groups) to find markers of. By default that of
        :func:`scdiffot.tl.spatial_domains` under the same name, if it exists.
    layer
        Layer with log-normalised expression; X by default.
    method
        Test of the markers.
    n_neighbors
        Number of nearest spots with which a spot is compared. Spots at the same distance as the
        last one are neighbours too.
    spatial_key
        Key of `adata.obsm` with coordinates, in two or three dimensions.
    library_key
        Column of `adata.obs` with the slice of every spot; by default all spots are one slice.
    connectivity_key
        Entry of `adata.obsp` with links to use instead, such as ``"spatial_connectivities"`` by
        ``squidpy.gr.spatial_neighbors``.
    key_added
        Prefix of all names that are written.
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.uns["{key_added}_spatial_genes"]` : DataFrame
        A row for every gene, the largest Moran's I first: ``gene``; ``moran_i``, the mean over
        slices; ``pval`` and ``pval_adj``; with several slices, ``moran_i_{slice}`` (with ``|`` for
        ``/`` in the name), NaN if the gene is constant in the slice. With domains, the ``domain``
        in which the gene has the highest score, with its ``marker_score``, ``logfoldchange`` (to
        base 2) and ``marker_pval_adj``.

    Raises
    ------
    KeyError
        If a key or gene does not exist.
    TypeError
        If an argument has the wrong type, or `adata` is no AnnData.
    ValueError
        If expression is raw counts, no gene varies, coordinates are NaN or coincide for most spots,
        or a number is out of range. Nothing is written then.

    See Also
    --------
    scdiffot.tl.spatial_domains : Domains of a tissue.
    scdiffot.tl.transfer_genes : Predict genes that a slice lacks.

    Examples
    --------
    >>> import numpy as np
    >>> import anndata as ad
    >>> import scdiffot as sdo
    >>> rng = np.random.default_rng(0)
    >>> xy = rng.uniform(size=(200, 2))
    >>> values = np.log1p(rng.poisson(3, size=(200, 3)))
    >>> values[:, 1] += 2 * xy[:, 0]
    >>> adata = ad.AnnData(values, obsm={"spatial": xy})
    >>> sdo.tl.spatial_genes(adata)
    >>> adata.uns["scdiffot_spatial_genes"]["gene"][0]
    '1'
    """
    import pandas as pd

    keys = Keys(key_added)
    if is_mudata(adata):
        raise TypeError(
            "`adata` is a MuData: pass one modality, such as "
            f"mdata[{next(iter(adata.mod), 'rna')!r}]."
        )
    if method not in ("t-test", "wilcoxon"):
        raise ValueError(f"`method` is {method!r}: pass 't-test' or 'wilcoxon'.")
    n_neighbors = check_count("n_neighbors", n_neighbors, 1)
    adata = as_writable(adata, copy=copy)
    slices = read_slices(adata, library_key, spatial_key=spatial_key)
    check_sliced(adata, slices, library_key)
    columns = np.sort(gene_columns(adata, genes, gene_symbols=gene_symbols))
    if domain_key is None and keys.domain in adata.obs:
        domain_key = keys.domain
    domains = None if domain_key is None else cell_labels(adata, domain_key, argument="domain_key")
    values = read_expression(adata, layer, columns)
    check_counts(
        adata,
        values,
        layer,
        expect_counts=False,
        remedy="log-normalise them (scanpy.pp.normalize_total, log1p)",
    )
    links = link_spots(adata, slices, n_neighbors=n_neighbors, connectivity_key=connectivity_key)
    names = pd.Index(gene_names(adata, gene_symbols)[columns])
    table = _moran(values, slices, links, names)
    if domains is not None:
        table = table.join(_markers(values, *domains, names, method), on="gene")
    order = np.lexsort((-table["moran_i"].fillna(-np.inf), table["pval"].fillna(2.0)))
    adata.uns[keys.spatial_genes] = table.iloc[order].reset_index(drop=True)
    return adata if copy else None


def _moran(
    values: Any, slices: TissueSlices, links: sparse.csr_array, names: pd.Index
) -> pd.DataFrame:
    """Moran's I of every gene in every slice, and the combined test."""
    import pandas as pd
    import scanpy
    from scipy import sparse, stats

    per_slice, scores = [], []
    for name in slices.names:
        rows = slices.rows(name)
        slice_values = values[rows].astype(np.float64)
        varies = _varies(slice_values)
        graph = sparse.csr_matrix(links[rows][:, rows])
        graph = sparse.csr_matrix(sparse.diags(1 / np.maximum(graph.sum(axis=1).A1, 1)) @ graph)
        moran = np.full(len(names), np.nan)
        if varies.any():
            genes = slice_values[:, varies].T
            moran[varies] = scanpy.metrics.morans_i(
                graph, genes.tocsr() if sparse.issparse(genes) else np.ascontiguousarray(genes)
            )
        per_slice.append(moran)
        scores.append(moran_z(moran, graph))
    z = np.array(scores)
    finite = np.isfinite(z)
    if not finite.any():
        raise ValueError("`adata` has no gene that varies within a slice: check the layer.")
    with np.errstate(invalid="ignore"):
        total = np.where(finite, z, 0).sum(axis=0) / np.sqrt(finite.sum(axis=0))
        mean = np.where(finite, per_slice, 0).sum(axis=0) / finite.sum(axis=0)
    table = {"gene": names.to_numpy(dtype=object), "moran_i": mean, "pval": stats.norm.sf(total)}
    table["pval_adj"] = adjust_p_values(table["pval"])
    if len(slices.names) > 1:
        names_of_columns = column_names(slices.names)
        table |= {
            f"moran_i_{name}": moran
            for name, moran in zip(names_of_columns, per_slice, strict=True)
        }
    return pd.DataFrame(table)


def _varies(values: Any) -> np.ndarray:
    """Whether the genes differ between spots."""
    high, low = values.max(axis=0), values.min(axis=0)
    if hasattr(high, "toarray"):
        high, low = high.toarray(), low.toarray()
    return np.asarray(high != low).ravel()


def _markers(
    values: Any, codes: np.ndarray, domains: list[str], names: pd.Index, method: str
) -> pd.DataFrame:
    """The domain in which every gene has the highest score, by gene."""
    import pandas as pd
    import scanpy

    sizes = np.bincount(codes[codes >= 0], minlength=len(domains))
    groups = [name for name, size in zip(domains, sizes, strict=True) if size > 1]
    if len(groups) < 2:
        raise ValueError(
            f"`domain_key` has {len(groups)} domain of two spots or more: markers need two domains."
        )
    assigned = codes >= 0
    obs = pd.DataFrame(
        {"domain": pd.Categorical.from_codes(codes[assigned], pd.Index(domains))}
    ).set_axis(np.arange(assigned.sum()).astype(str))
    companion = AnnData(values[assigned], obs=obs, var=pd.DataFrame(index=names))
    scanpy.tl.rank_genes_groups(companion, "domain", groups=groups, method=method, use_raw=False)
    table = scanpy.get.rank_genes_groups_df(companion, group=groups)
    best = (
        table.sort_values("scores", ascending=False, kind="stable")
        .drop_duplicates("names")
        .set_index("names")
    )
    columns = {
        "group": "domain",
        "scores": "marker_score",
        "logfoldchanges": "logfoldchange",
        "pvals_adj": "marker_pval_adj",
    }
    best = best[list(columns)].rename(columns=columns)
    return best.astype({"domain": str})
