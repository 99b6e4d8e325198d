"""Blood cells of two donors with and without interferon beta."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np

from scdiffot._utils.optional import require

from .download import path_of

if TYPE_CHECKING:
    from pathlib import Path

_LABELS = ("group_id", "sample_id", "cluster_id")


def kang(*, show_progress: bool = True) -> ad.AnnData:
    """Blood cells of two lupus patients with and without interferon beta, by droplet sequencing.

    1,556 peripheral blood mononuclear cells with 1,267 genes, half of them after six hours of interferon beta
    :cite:p:`Kang2018`: the example of the package muscat :cite:p:`Crowell2020`, which kept two donors, five cell types,
    genes with more than one count in more than fifty cells, and at most a hundred cells of every type, donor and
    condition. So numbers of cells carry no biology: compare conditions with ``unbalanced=False``.

    Parameters
    ----------
    show_progress
        Whether a download shows a progress bar.

    Returns
    -------
    1,556 cells, in the order of the source.

    - ``X``: log2-normalised counts; ``layers["counts"]``: the counts. Both sparse. For a fit, run
      ``scanpy.pp.pca(adata)`` first.
    - ``obs["condition"]``: ``"ctrl"`` or ``"stim"``; ``obs["donor"]``: ``"101"`` or ``"107"``; ``obs["cell_type"]``.

    Raises
    ------
    ImportError
        If rdata, which reads the published file, is not installed.
    FileNotFoundError, ValueError
        If the folder named by `SCDIFFOT_DATA` lacks the file, or the file is damaged.
    ConnectionError
        If the download fails.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.kang()  # doctest: +SKIP
    >>> train = adata[adata.obs["donor"] == "101"].copy()  # doctest: +SKIP
    """
    import pandas as pd

    counts, logcounts, labels, genes = _load(show_progress=show_progress)
    condition, sample, cell_type = (labels[name].astype(str) for name in _LABELS)
    obs = pd.DataFrame(
        {
            "condition": pd.Categorical(condition),
            # the name of a sample is that of its condition and its donor
            "donor": pd.Categorical(
                [s.removeprefix(c) for s, c in zip(sample, condition, strict=True)]
            ),
            "cell_type": pd.Categorical(cell_type),
        },
        index=labels.index.astype(str),
    )
    return ad.AnnData(
        X=logcounts,
        layers={"counts": counts},
        obs=obs,
        var=pd.DataFrame(index=genes),
        uns={
            "citation": "Kang et al., Nature Biotechnology 36, 89-94 (2018)",
            "source": "https://github.com/HelenaLC/muscat",
            "license": "GPL-3 (repository); the measurements belong to the cited study",
        },
    )


def _load(*, show_progress: bool) -> tuple[Any, Any, Any, list[str]]:
    """Counts, log-counts, labels and genes, from the published object or from the same one without R."""
    try:
        path = path_of("response/example_sce.rda", show_progress=show_progress)
    except FileNotFoundError as error:
        try:
            path = path_of("response/kang_two_donors.h5ad", show_progress=show_progress)
        except FileNotFoundError:
            raise error from None
        stored = ad.read_h5ad(path)
        return (
            stored.layers["counts"],
            stored.layers["logcounts"],
            stored.obs,
            stored.var_names.tolist(),
        )
    return _read_original(path)


def _read_original(path: Path) -> tuple[Any, Any, Any, list[str]]:
    """Read the SingleCellExperiment, whose matrices are genes by cells in compressed columns."""
    import pandas as pd
    from scipy import sparse

    rdata = require("rdata", extra="rdata")
    with warnings.catch_warnings():
        # classes of Bioconductor come as plain attributes, which is all that is needed
        warnings.filterwarnings("ignore", "Missing constructor", UserWarning)
        found = rdata.read_rda(path)["example_sce"]
    assays = found.assays.data.listData
    # compressed columns of genes by cells are compressed rows of cells by genes
    counts, logcounts = (
        sparse.csr_matrix((a.x.astype(np.float32), a.i, a.p), shape=tuple(a.Dim[::-1]))
        for a in (assays["counts"], assays["logcounts"])
    )
    genes, cells = assays["counts"].Dimnames
    columns = found.colData.listData
    labels = pd.DataFrame({name: np.asarray(columns[name]) for name in _LABELS}, index=cells)
    return counts, logcounts, labels, [str(gene) for gene in genes]
