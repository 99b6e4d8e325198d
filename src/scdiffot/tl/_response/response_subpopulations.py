"""Subpopulations and genes that respond most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import as_writable, check_count
from scdiffot._data.responses.predictions import (
    PredictedCells,
    read_cell_groups,
    read_predicted,
    response_key,
    write_subpopulations,
)
from scdiffot._data.responses.response_store import read_response_genes
from scdiffot._data.responses.stored_responses import read_response
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.errors import StoredFitError
from scdiffot._utils.keys import ALL, DEFAULT, PARAMS, Keys
from scdiffot._utils.logging import logger
from scdiffot._utils.rng import as_generator
from scdiffot.core.response.subpopulations import summarise_features, summarise_groups

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.write.decoders import GeneSpace

# Largest number of clusters, and least mean number of cells of a cluster.
MAX_CLUSTERS, CLUSTER_SIZE = 10, 20
# Share of the variance in the components in which responses are clustered, and their largest
# number.
VARIANCE_SHARE, MAX_COMPONENTS = 0.9, 10
# Largest number of cells that the mixture is fitted to; the other cells are only assigned.
N_FITTED = 5000
# Number of bootstrap resamples, and confidence level of the intervals.
N_BOOT, LEVEL = 1000, 0.95


@fill_parameters
def response_subpopulations(
    adata: AnnData | MuData,
    *,
    groupby: str | None = None,
    n_clusters: int | None = None,
    reference: AnnData | MuData | None = None,
    gene_symbols: str | None = None,
    decoder: Any = None,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
    copy: bool = False,
) -> AnnData | MuData | None:
    r"""Rank subpopulations by the size of their response, and genes by its heterogeneity.

    Without `groupby`, the response vectors of all predicted cells are clustered by a mixture of
    Gaussians on their leading principal components (those that hold 90 % of the variance, at most
    ten). The number of clusters has the least Bayesian information criterion (BIC)
    :cite:p:`Schwarz1978`. Clusters are numbered by their mean effect size, ``"1"`` has the largest.
    They are clusters of *responses*: cells of one type may belong to several clusters, and a
    cluster may contain several types.

    The *heterogeneity* of a gene is the share :math:`\eta^2` of the variance of its response over
    cells that lies between the groups: 1 if all cells of a group respond equally. It does not
    describe the size of the response, which is `mean`.

    None of the results is a test. Cells of one fit are not replicates (pseudo-replication):
    thousands of cells narrow an interval over cells, but not the error due to the fit, the numbers
    of sequenced cells and the choice of donors. To compare groups, fit and predict every donor
    separately and compare the donors.

    Parameters
    ----------
    adata
        Cells whose response was predicted by :func:`scdiffot.tl.predict_response`.
    groupby
        Column of `adata.obs` with groups, such as cell types; cells without a group are excluded.
        By default responses are clustered.
    n_clusters
        Number of clusters. By default it is selected, from one to ten.
    reference
        AnnData with the fit, if that is not `adata`.
    %(gene_symbols)s
    decoder
        Decoder of the representation: an object with methods `encode` and `decode`, or a pair of
        such functions, on tensors. By default the decoder that the AnnData with the fit holds;
        without a decoder, genes are omitted.
    %(rng)s
    key
        Name of the response, or of a prediction of it (`key_added` of
        :func:`scdiffot.tl.predict_response`).
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following fields; :func:`scdiffot.get.response` returns the tables:

    `adata.obs["{key}_response_cluster"]` : categorical
        Cluster of every predicted cell, without `groupby`.
    `adata.uns["{key}_response_subpopulations"]` : data frame
        A row for every group, the most sensitive first: ``group``, ``groupby``, ``rank``,
        ``n_cells``; mean ``effect_size`` (half a squared distance in the representation) with the
        ends ``effect_low`` and ``effect_high`` of its 95 % bootstrap interval over the cells, given
        the fitted response; ``response_length``, the length of the mean response, and
        ``coherence``, this length divided by the mean length (1 if all cells move in the same
        direction). If the response is unbalanced, the mean ``survival`` and its standard deviation
        over cells ``survival_sd``, which is the variation between cells and not the error of the
        mean.
    `adata.uns["{key}_response_features"]` : data frame
        If there is a decoder, a row for every group (and ``"all"`` cells, first) and gene, the most
        heterogeneous first: ``group``, ``gene``, ``mean`` and ``sd`` of the response over cells (in
        the unit of the expression) and ``heterogeneity`` (the same in all groups).

    Raises
    ------
    KeyError
        If no response was fitted or predicted, or there is no such column.
    TypeError
        If an argument has the wrong type.
    ValueError
        If `groupby` and `n_clusters` are both given, there are fewer cells than clusters, no cell
        has a group, or `adata` cannot be used. Nothing is written then.

    See Also
    --------
    scdiffot.tl.predict_response : Predict the response of each cell.
    scdiffot.get.response : Read the tables.
    scdiffot.pl.response : Plot the response of groups and genes.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.perturbation_response(400, n_dims=5, n_genes=20)
    >>> sdo.tl.fit_response(
    ...     adata,
    ...     "condition",
    ...     control="control",
    ...     target="drug",
    ...     config={"train": {"n_steps": 50}},
    ...     show_progress=False,
    ... )
    >>> sdo.tl.predict_response(adata)
    >>> sdo.tl.response_subpopulations(adata, groupby="subpopulation")
    >>> len(adata.uns["scdiffot_response_subpopulations"])
    5
    """
    keys = Keys(key, "key")
    adata = as_writable(adata, copy=copy)
    generator = as_generator(rng)
    if groupby is not None and n_clusters is not None:
        raise ValueError("`groupby` and `n_clusters` were both given: leave one of them out.")
    owner = adata if reference is None else reference
    fitted = read_response(
        owner, response_key(adata, key), "key" if reference is None else "reference"
    )
    cells = read_predicted(adata, key)
    space = _decoder(owner, fitted[PARAMS], decoder, gene_symbols)
    clusters = None
    if groupby is None:
        codes, names = _cluster(cells, n_clusters, generator)
        clusters = _categories(adata, cells, codes, names)
    else:
        codes, names = read_cell_groups(adata, groupby, cells)
    inside = codes >= 0
    cells, codes = cells.select(inside), codes[inside]
    groups = _rank(cells, codes, names, groupby or keys.response_cluster, generator)
    features = None if space is None else _features(cells, codes, names, space)
    write_subpopulations(adata, keys, clusters=clusters, groups=groups, features=features)
    return adata if copy else None


def _decoder(
    owner: AnnData | MuData, params: dict[str, Any], decoder: Any, gene_symbols: str | None
) -> GeneSpace | None:
    """Genes of a decoder; None, with a warning, if there is no decoder."""
    if decoder is not None:
        return read_response_genes(owner, params, decoder, gene_symbols=gene_symbols)
    try:
        return read_response_genes(owner, params, gene_symbols=gene_symbols)
    except StoredFitError:
        raise
    except ValueError as error:
        logger.warning("Genes are left out. %s", error)
        return None


def _cluster(
    cells: PredictedCells, n_clusters: int | None, rng: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    """Cluster of every cell, the one with the largest mean effect first."""
    n = len(cells.rows)
    if n_clusters is not None:
        n_clusters = check_count("n_clusters", n_clusters, 1)
        if n_clusters > n:
            raise ValueError(
                f"`n_clusters` is {n_clusters}, but only {n} cells have a predicted response: pass "
                "fewer."
            )
    scores = _components(cells.response)
    counts = (
        [n_clusters]
        if n_clusters is not None
        else range(1, min(MAX_CLUSTERS, max(n // CLUSTER_SIZE, 1)) + 1)
    )
    sample = rng.permutation(n)[: max(N_FITTED, n_clusters or 0)]
    components = _mixture(scores, sample, counts, int(rng.integers(2**31)))
    # Components without a cell are no clusters.
    occupied, codes = np.unique(components, return_inverse=True)
    effect = np.bincount(codes, cells.effect) / np.bincount(codes)
    rank = np.empty(len(occupied), dtype=np.intp)
    rank[np.argsort(-effect, kind="stable")] = np.arange(len(occupied))
    return rank[codes], [str(i + 1) for i in range(len(occupied))]


def _components(response: np.ndarray) -> np.ndarray:
    """Leading principal components of responses, scaled to unit variance of the first."""
    centred = response - response.mean(axis=0)
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    variance, axes = np.maximum(variance[::-1], 0), axes[:, ::-1]
    if variance[0] <= 1e-12 * max((response**2).mean(), np.finfo(np.float64).tiny):
        return np.zeros((len(response), 1))
    share = np.cumsum(variance) / variance.sum()
    n_components = min(int(np.searchsorted(share, VARIANCE_SHARE)) + 1, MAX_COMPONENTS)
    scores: np.ndarray = centred @ axes[:, :n_components] / np.sqrt(variance[0])
    return scores


def _mixture(scores: np.ndarray, sample: np.ndarray, counts: Any, seed: int) -> np.ndarray:
    """Component of every cell in the mixture with the least BIC, fitted to a sample."""
    from sklearn.mixture import GaussianMixture

    if not scores.any():
        return np.zeros(len(scores), dtype=np.intp)
    fits = [
        GaussianMixture(k, reg_covar=1e-4, n_init=2, random_state=seed).fit(scores[sample])
        for k in counts
        if k <= len(sample)
    ]
    best = min(fits, key=lambda fit: fit.bic(scores[sample]))
    labels: np.ndarray = best.predict(scores)
    return labels


def _categories(
    adata: AnnData | MuData, cells: PredictedCells, codes: np.ndarray, names: list[str]
) -> pd.Categorical[Any]:
    """Clusters of all cells of `adata`, missing for those without a prediction."""
    import pandas as pd

    all_codes = np.full(adata.n_obs, -1)
    all_codes[cells.rows] = codes
    return pd.Categorical.from_codes(all_codes, pd.Index(names))


def _rank(
    cells: PredictedCells,
    codes: np.ndarray,
    names: list[str],
    groupby: str,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Table of the groups, the most sensitive first."""
    import pandas as pd

    summary = summarise_groups(
        cells.response, cells.effect, cells.survival, codes, n_boot=N_BOOT, level=LEVEL, rng=rng
    )
    table = pd.DataFrame({"group": names, "groupby": groupby, **summary})
    return table.sort_values("rank", ignore_index=True)


def _features(
    cells: PredictedCells, codes: np.ndarray, names: list[str], space: GeneSpace
) -> pd.DataFrame:
    """Table of the genes in every group, the most heterogeneous first."""
    import pandas as pd

    def gene_responses() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for chunk, untreated, treated in cells.decode(space):
            yield treated - untreated, codes[chunk]

    named = space.select_named()
    summary = summarise_features(gene_responses(), len(names))
    order = named[np.argsort(-summary["heterogeneity"][named], kind="stable")]
    n = len(order)
    rows = [len(names), *range(len(names))]
    return pd.DataFrame(
        {
            "group": np.repeat(np.array([ALL, *names], dtype=object), n),
            "gene": np.tile(space.names[order].astype(object), len(rows)),
            "mean": summary["mean"][rows][:, order].ravel(),
            "sd": summary["sd"][rows][:, order].ravel(),
            "heterogeneity": np.tile(summary["heterogeneity"][order], len(rows)),
        }
    )
