"""Blood cells of two donors with and without interferon beta."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np

from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.optional import require

from .download import path_of

if TYPE_CHECKING:
    from pathlib import Path

_LABELS = ("group_id", "sample_id", "cluster_id")


@fill_parameters
def kang(*, show_progress: bool = True) -> ad.AnnData:
    """Blood cells of two lupus patients with and without interferon beta, by RNA sequencing.

    1,556 peripheral blood mononuclear cells with 1,267 genes, sequenced in droplets, half of them
    after six hours of interferon beta :cite:p:`Kang2018`: the example of the package muscat
    :cite:p:`Crowell2020`, which kept two donors, five cell types, genes with more than one count
    in more than fifty cells, and at most a hundred cells of every type, donor and condition.
    Numbers of cells therefore carry no biology: compare conditions with ``unbalanced=False``.

    Parameters
    ----------
    %(show_download)s

    Returns
    -------
    1,556 cells, in the order of the source.

    - ``X``: log2-normalised counts; ``layers["counts"]``: the counts. Both sparse. For a fit, run
      ``scanpy.pp.pca(adata)`` first.
    - ``obs["condition"]``: ``"ctrl"`` or ``"stim"``; ``obs["donor"]``: ``"101"`` or ``"107"``;
      ``obs["cell_type"]``.

    Raises
    ------
    ImportError
        If rdata, which reads the published file, is not installed.
    FileNotFoundError, ValueError
        If the folder named by `SCDIFFOT_DATA` lacks the file, or the file is damaged.
    ConnectionError
        If the download fails.

    See Also
    --------
    scdiffot.datasets.perturbation_response : Simulated responses with the truth about every cell.
    scdiffot.tl.fit_response : Fit the response to a treatment.
    scdiffot.tl.evaluate_response : Compare a predicted with a measured response.

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
            # sample names are the condition followed by the donor
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
    """Read counts, log-counts, labels and genes, from the published object or its h5ad version."""
    try:
        path = path_of("response/example_sce.rda", show_progress=show_progress)
    except FileNotFoundError as error:
        try:
            path = path_of("response/kang_two_donors.h5ad", show_progress=show_progress)
        except FileNotFoundError:
            raise error from None
        adata = ad.read_h5ad(path)
        return (
            adata.layers["counts"],
            adata.layers["logcounts"],
            adata.obs,
            adata.var_names.tolist(),
        )
    return _read_original(path)


def _read_original(path: Path) -> tuple[Any, Any, Any, list[str]]:
    """Read the SingleCellExperiment, whose matrices are genes by cells in compressed columns."""
    import pandas as pd
    from scipy import sparse

    rdata = require("rdata", extra="rdata")
    with warnings.catch_warnings():
        # rdata reads unknown classes of Bioconductor as plain attributes, which is enough here
        warnings.filterwarnings("ignore", "Missing constructor", UserWarning)
        experiment = rdata.read_rda(path)["example_sce"]
    assays = experiment.assays.data.listData
    # the compressed columns of a matrix are the compressed rows of its transpose
    counts, logcounts = (
        sparse.csr_matrix((a.x.astype(np.float32), a.i, a.p), shape=tuple(a.Dim[::-1]))
        for a in (assays["counts"], assays["logcounts"])
    )
    genes, cells = assays["counts"].Dimnames
    columns = experiment.colData.listData
    labels = pd.DataFrame({name: np.asarray(columns[name]) for name in _LABELS}, index=cells)
    return counts, logcounts, labels, [str(gene) for gene in genes]
