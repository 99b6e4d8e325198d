from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo
from scdiffot._utils.keys import Keys
from scdiffot._utils.names import MAX_BYTES, check_key, key_name, unsafe_name

UNSAFE = [
    "",
    " ",
    ".",
    "..",
    "a/b",
    "a\\b",
    "x\x00y",
    "x\ny",
    "_index",
    ".zattrs",
    "zarr.json",
    "\ud800",
    "x" * 300,
]
SAFE = ["c", "β T-cell, naïve", "..a", "CD4+", "a:b", "%2F", "__x", "x" * MAX_BYTES]
QUIET = {"n_trajectories": 5, "show_progress": False}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.parametrize("name", [*SAFE, " lead", "trail "], ids=ascii)
def test_files_hold_safe_names(tmp_path, name, suffix):
    adata = ad.AnnData(np.ones((2, 1), np.float32), uns={"run": {name: {"v": 1}}})
    adata.obsm["table"] = pd.DataFrame(
        [[1.0, 2.0]] * 2, columns=[name, "last"], index=adata.obs_names
    )
    path = tmp_path / f"a.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    reread = getattr(ad, f"read_{suffix}")(path)
    assert list(reread.uns["run"]) == [name]
    assert list(reread.obsm["table"].columns) == [name, "last"]
    assert unsafe_name(name) == ""


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_unsafe_names_are_refused_as_keys(name):
    assert unsafe_name(name)
    with pytest.raises(ValueError, match="`key_added` is "):
        Keys(name)


@pytest.mark.parametrize("name", [" lead", "trail "])
def test_keys_have_no_surrounding_spaces(name):
    with pytest.raises(ValueError, match="begins or ends with a space"):
        check_key(name, "key_added")


def test_keys_of_names_are_safe_and_unique():
    assert key_name("a/b\\c") == "a|b|c"
    long = ["g" * 500, "g" * 501, "é" * 400]
    keys = [key_name(name) for name in long]
    assert len(set(keys)) == 3
    assert not any(unsafe_name(key) for key in keys)


@pytest.mark.parametrize("name", ["", ".", "..", "x\x00y", "_index", "x" * 300], ids=ascii)
def test_types_that_files_cannot_hold_are_refused(fitted_adata, fingerprint, name):
    fitted_adata.obs["kind"] = fitted_adata.obs["cell_type"].cat.rename_categories({"A": name})
    content = fingerprint(fitted_adata)
    calls = (
        lambda: sdo.tl.sta_forward(fitted_adata, "kind", **QUIET),
        lambda: sdo.tl.sta_backward(fitted_adata, "kind", **QUIET),
    )
    for call in calls:
        with pytest.raises(
            ValueError,
            match=r"`cell_key` obs\['kind'\] has the types .* files of AnnData cannot hold",
        ):
            call()
    assert fingerprint(fitted_adata) == content


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.parametrize("column", ["slashes", "booleans", "numbers", "spaces", "mixed"])
def test_types_of_all_kinds_survive_a_file(fitted_adata, tmp_path, suffix, column):
    first = (fitted_adata.obs["cell_type"] == "A").to_numpy()
    values = {
        "slashes": pd.Categorical(np.where(first, "CD4/CD8\\x", "β")),
        "booleans": first,
        "numbers": pd.Categorical(np.where(first, 3, 12)),
        "spaces": pd.Categorical(np.where(first, " lead", "trail ")),
        "mixed": pd.Categorical(np.where(first, "unknown", "Outside")),
    }
    fitted_adata.obs["kind"] = values[column]
    sdo.tl.sta_forward(fitted_adata, "kind", **QUIET)
    sdo.tl.sta_backward(fitted_adata, "kind", **QUIET)
    path = tmp_path / f"a.{suffix}"
    getattr(fitted_adata, f"write_{suffix}")(path)
    reread = getattr(ad, f"read_{suffix}")(path)
    for name in ("fate", "fate_se", "ancestry"):
        pd.testing.assert_frame_equal(
            reread.obsm[f"scdiffot_{name}"], fitted_adata.obsm[f"scdiffot_{name}"]
        )
    pd.testing.assert_frame_equal(sdo.get.fate(reread), sdo.get.fate(fitted_adata))
    names = {str(value) for value in np.unique(np.asarray(values[column]))}
    assert {*sdo.get.fate(reread)["fate"].cat.categories} == {*names, "outside"}
    pair = (reread, fitted_adata)
    accuracy, expected = (a.uns["scdiffot"]["fate"]["accuracy_by_type"] for a in pair)
    np.testing.assert_array_equal(accuracy, expected)
    assert accuracy.index.tolist() == expected.index.tolist()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_names_of_perturbations_survive_a_file(tmp_path):
    adata = sdo.datasets.misa(60)
    sdo.tl.fit(
        adata,
        "time",
        use_rep="X",
        sigma=0.2,
        config={"train": {"n_steps": 20}, "corrections": {"n_rounds": 0}},
        show_progress=False,
    )
    for name in (".", "..", "", "x\x00y"):
        with pytest.raises(ValueError, match="`name` is "):
            sdo.tl.perturb(adata, {"X": 0.0}, "cell_type", name=name, **QUIET)
    names = ["a/b", "long " * 100, " lead"]
    for name in names:
        sdo.tl.perturb(adata, {"X": 0.0}, "cell_type", name=name, **QUIET)
    for suffix in ("h5ad", "zarr"):
        path = tmp_path / f"a.{suffix}"
        getattr(adata, f"write_{suffix}")(path)
        reread = getattr(ad, f"read_{suffix}")(path)
        for name in names:
            pd.testing.assert_frame_equal(
                sdo.get.perturbation(reread, name), sdo.get.perturbation(adata, name)
            )
