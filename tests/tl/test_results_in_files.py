"""All results survive files, for any names of genes, types, conditions, donors and slices."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo

pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2 data will no longer be the default")
QUIET = {"show_progress": False}


def _assert_equal(first, second, place):
    if hasattr(first, "items") and not isinstance(first, pd.DataFrame):
        assert set(first) == set(second), place
        for name in first:
            _assert_equal(first[name], second[name], f"{place}[{name!r}]")
    elif isinstance(first, pd.DataFrame):
        assert list(first.columns) == list(second.columns), place
        for name in first:
            _assert_equal(first[name].to_numpy(), second[name].to_numpy(), f"{place}[{name!r}]")
    else:
        first, second = (
            np.asarray(v.toarray() if hasattr(v, "toarray") else v) for v in (first, second)
        )
        if first.dtype.kind in "biuf":
            np.testing.assert_array_equal(first, second, err_msg=place)
        else:
            assert list(map(str, first.ravel().tolist())) == list(
                map(str, second.ravel().tolist())
            ), place


def _check_files(adata, tmp_path):
    """Check that both file formats preserve the results."""
    for suffix in ("h5ad", "zarr"):
        path = tmp_path / f"a.{suffix}"
        getattr(adata, f"write_{suffix}")(path)
        from_file = getattr(ad, f"read_{suffix}")(path)
        for part in ("uns", "obs", "obsm", "varm", "obsp", "layers"):
            if part == "obs":
                _assert_equal(adata.obs, from_file.obs, part)
            else:
                _assert_equal(
                    dict(getattr(adata, part)), dict(getattr(from_file, part)), f"{suffix} {part}"
                )


def _name_with_slashes(adata, *columns):
    """Add a slash, a dot and a final slash to all names."""
    adata.var_names = [f"{name}/DV{i}" for i, name in enumerate(adata.var_names)]
    for column in columns:
        labels = pd.Categorical(adata.obs[column].astype(str))
        ends = ["./a", "/", "\\b", "|c"]
        adata.obs[column] = labels.rename_categories(
            [f"{name}{ends[i % 4]}" for i, name in enumerate(labels.categories)]
        )
    return adata


@pytest.mark.slow
def test_dynamics(time_course, quick, tmp_path):
    _name_with_slashes(time_course, "cell_type", "label")
    time_course.obs["kind"] = time_course.obs.pop("cell_type")
    genes = time_course.var_names.tolist()
    times = dict(zip(time_course.obs["label"].cat.categories, (0, 1, 2), strict=True))
    sdo.tl.fit(time_course, "label", use_rep="X", time_map=times, **quick)
    few = {"n_trajectories": 3, **QUIET}
    sdo.tl.validate(time_course, **QUIET)
    sdo.tl.sta_forward(time_course, "kind", path=True, **few)
    sdo.tl.sta_backward(time_course, "kind", **QUIET)
    sdo.tl.perturb(time_course, {genes[0]: 1.0}, "kind", **few)
    sdo.tl.perturb_screen(time_course, "kind", genes=genes[:2], kind="overexpress", **few)
    sdo.tl.regulation(time_course, groupby="kind", **QUIET)
    sdo.tl.growth_genes(time_course, groupby="kind", **QUIET)
    sdo.tl.trajectory_genes(time_course, "kind", **few)
    sdo.tl.landscape(time_course, cell_key="kind", n_grid=10)
    sdo.tl.gene_velocity(time_course)
    _check_files(time_course, tmp_path)
    assert set(sdo.get.fate(time_course)["fate"]) >= set(time_course.obs["kind"].cat.categories)
    assert time_course.uns["scdiffot"]["regulation"]["genes"].tolist() == genes


def test_responses(treat, quick_response, tmp_path):
    adata = _name_with_slashes(treat(), "condition", "donor", "subpopulation")
    control, drug = (
        next(c for c in adata.obs["condition"].cat.categories if c.startswith(n))
        for n in ("con", "drug")
    )
    sdo.tl.fit_response(adata, "condition", control, drug, context="donor", **quick_response)
    sdo.tl.predict_response(adata, genes=True)
    sdo.tl.evaluate_response(adata, "condition", control, drug, context="donor", **quick_response)
    sdo.tl.response_subpopulations(adata, groupby="subpopulation")
    _check_files(adata, tmp_path)
    assert set(sdo.get.response(adata, "genes")["gene"]) == set(adata.var_names)


def _tissue():
    rng = np.random.default_rng(0)
    place = rng.uniform(size=(160, 2)) * [3, 2]
    states = np.c_[np.sin(place), place[:, 0] ** 2, place[:, 1] * 3, rng.normal(size=(160, 4)) + 2]
    adata = ad.AnnData(np.abs(states + 0.01 * rng.normal(size=states.shape)).astype(np.float32))
    adata.obs["slice"] = np.repeat(["a", "b"], 80)
    adata.obs["kind"] = np.where(place[:, 0] > 1.5, "left", "right")
    adata.obsm["spatial"] = place
    return adata


@pytest.mark.slow
def test_tissue(tmp_path):
    pytest.importorskip("squidpy")
    adata = _name_with_slashes(_tissue(), "slice", "kind")
    first, second = adata.obs["slice"].cat.categories
    sdo.tl.align_slices(adata, "slice", use_rep="X", **QUIET)
    sdo.tl.spatial_domains(adata, 2, use_rep="X", library_key="slice")
    sdo.tl.spatial_genes(adata, library_key="slice", domain_key="kind")
    spots = adata[adata.obs["slice"] == first, :4].copy()
    sdo.tl.transfer_genes(spots, adata[adata.obs["slice"] == second].copy(), n_neighbors=5)
    for data in (adata, spots):
        _check_files(data, tmp_path)
    columns = spots.obsm["scdiffot_transferred"].columns.tolist()
    assert columns == [name.replace("/", "|") for name in adata.var_names[4:]]
    assert spots.uns["scdiffot_transfer"]["genes"].tolist() == adata.var_names[4:].tolist()
    options = {"library_key": "slice", "use_rep": "X", "cell_keys": "kind"}
    interpolation = sdo.tl.interpolate_slices(adata, (first, second), 0.5, **options)
    _check_files(interpolation, tmp_path)


@pytest.mark.parametrize(
    "names", [["_index"], ["a/b", "a|b"], ["x" * 300], [".."], ["a\x00b"]], ids=repr
)
def test_genes_with_names_that_files_cannot_hold(names, fingerprint):
    adata = _tissue()
    adata.var_names = [f"g{i}" for i in range(8 - len(names))] + names
    spots, reference = adata[:80, :4].copy(), adata[80:].copy()
    previous = fingerprint(spots)
    for options in ({}, {"genes": names}):
        with pytest.raises(
            ValueError,
            match="`genes` of reference, adata.var_names, has the names .*rename these genes",
        ):
            sdo.tl.transfer_genes(spots, reference, n_neighbors=5, **options)
    assert fingerprint(spots) == previous
    sdo.tl.transfer_genes(spots, reference, genes=["g4"], n_neighbors=5)
    assert list(spots.obsm["scdiffot_transferred"]) == ["g4"]
