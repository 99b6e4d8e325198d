"""The published responses of blood cells to interferon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from scdiffot import datasets
from scdiffot.datasets._published import kang as _kang
from scdiffot.datasets._published.download import path_of

if TYPE_CHECKING:
    import anndata as ad


@pytest.fixture(scope="module")
def kang() -> ad.AnnData:
    try:
        return datasets.kang(show_progress=False)
    except ConnectionError as error:
        pytest.skip(f"needs a network, or the files in the folder SCDIFFOT_DATA: {error}")


def test_kang_is_complete(kang, tmp_path):
    assert kang.shape == (1556, 1267)
    counts = kang.obs.groupby(["condition", "donor"], observed=True).size()
    assert counts.to_dict() == {
        ("ctrl", "101"): 454,
        ("ctrl", "107"): 296,
        ("stim", "101"): 500,
        ("stim", "107"): 306,
    }
    types = ["B cells", "CD14+ Monocytes", "CD4 T cells", "CD8 T cells", "FCGR3A+ Monocytes"]
    assert kang.obs["cell_type"].cat.categories.tolist() == types
    assert kang.obs.groupby(list(kang.obs.columns), observed=True).size().max() == 100
    assert kang.obs_names.is_unique
    assert kang.var_names.is_unique
    assert {"citation", "source", "license"} <= set(kang.uns)
    kang.write_h5ad(tmp_path / "a.h5ad")


def test_kang_is_normalised(kang):
    counts, x = kang.layers["counts"].toarray(), kang.X.toarray().astype(float)
    assert (counts == np.round(counts)).all()
    is_expressed = counts > 0
    assert ((x > 0) == is_expressed).all()
    # log2 of one plus the counts divided by a size factor per cell
    size = np.where(is_expressed, counts / np.where(is_expressed, 2**x - 1, 1), np.nan)
    np.testing.assert_allclose(np.nanmax(size, axis=1), np.nanmin(size, axis=1), rtol=1e-4)


def test_kang_responds_to_interferon(kang):
    is_stimulated = (kang.obs["condition"] == "stim").to_numpy()
    for gene in ("ISG15", "IFI6", "CXCL10"):
        x = kang[:, gene].X.toarray().ravel()
        for donor in ("101", "107"):
            of = (kang.obs["donor"] == donor).to_numpy()
            assert x[of & is_stimulated].mean() > x[of & ~is_stimulated].mean() + 1


def test_kang_is_the_same_from_the_published_object(kang):
    pytest.importorskip("rdata")
    try:
        path = path_of("response/example_sce.rda", show_progress=False)
    except (ConnectionError, FileNotFoundError) as error:
        pytest.skip(f"needs the published file: {error}")
    counts, logcounts, labels, genes = _kang._read_original(path)
    assert (counts != kang.layers["counts"]).nnz == 0
    assert (logcounts != kang.X).nnz == 0
    assert genes == kang.var_names.tolist()
    assert labels.index.tolist() == kang.obs_names.tolist()
    assert labels["group_id"].tolist() == kang.obs["condition"].tolist()
    assert labels["cluster_id"].tolist() == kang.obs["cell_type"].tolist()


def test_kang_names_the_published_file(monkeypatch, tmp_path):
    monkeypatch.setenv("SCDIFFOT_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"has neither response/example_sce\.rda"):
        datasets.kang()
    (tmp_path / "kang_two_donors.h5ad").write_bytes(b"something else")
    with pytest.raises(ValueError, match="damaged or another version"):
        datasets.kang()
