from __future__ import annotations

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scdiffot as sdo
from scdiffot.core.spatial.between.interpolation import joint_distance

COUNTS = {"a": 90, "b": 120, "c": 60}


def make_slices(seed: int = 0) -> ad.AnnData:
    """Three slices whose layers move to the right by 0.2 each; rows in random order."""
    rng = np.random.default_rng(seed)
    name = np.repeat(list(COUNTS), list(COUNTS.values()))
    k = pd.Categorical(name).codes
    place = rng.uniform(size=(len(name), 2)) * [3, 1]
    states = np.c_[np.sin(place[:, 0]), np.cos(2 * place[:, 0]), place[:, 1]] + 0.05 * rng.normal(
        size=(len(name), 3)
    )
    obs = pd.DataFrame(
        {
            "slice": pd.Categorical(name),
            "depth_um": 10.0 * np.array([0, 1, 3])[k],
            "layer": pd.Categorical(np.where(place[:, 0] < 1.5, "outer", "inner")),
        },
        index=[f"spot{i}" for i in range(len(name))],
    )
    adata = ad.AnnData(
        X=sparse.csr_matrix(np.maximum(states @ rng.normal(size=(3, 6)), 0).astype(np.float32)),
        obs=obs,
        obsm={"spatial": place + np.c_[0.2 * k, 0 * k], "X_pca": states},
        varm={"PCs": rng.normal(size=(6, 3))},
        uns={"layer_colors": ["#ff0000", "#0000ff"]},
    )
    adata.layers["twice"] = 2 * adata.X
    return adata[rng.permutation(adata.n_obs)].copy()


@pytest.fixture
def slices() -> ad.AnnData:
    return make_slices()


def interpolate(adata, at=0.5, names=("a", "b"), **options):
    return sdo.tl.interpolate_slices(adata, names, at, library_key="slice", **options)


@pytest.mark.parametrize("form", ["displacement", "barycentric"])
def test_stored_fields(slices, form, fingerprint):
    previous = fingerprint(slices)
    result = interpolate(slices, form=form, cell_keys="layer", layers="twice")
    assert fingerprint(slices) == previous
    assert result.shape == (105, 6)
    assert result.var_names.equals(slices.var_names)
    assert result.obs["weight"].sum() == pytest.approx(105)
    assert (result.obs["depth"] == 0.5).all()
    assert result.obsm["X_pca"].shape == (105, 3)
    np.testing.assert_allclose(result.layers["twice"].toarray(), 2 * result.X.toarray(), rtol=1e-5)
    assert result.varm["PCs"].shape == (6, 3)
    probability = result.obsm["layer_probability"]
    assert probability.columns.tolist() == ["inner", "outer"]
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_array_equal(result.obs["layer"].astype(str), probability.idxmax(axis=1))
    # the border of the layers is half-way between 1.5 and 1.7
    right = result.obsm["spatial"][:, 0] > 1.6
    assert (np.where(right, "inner", "outer") == result.obs["layer"]).mean() > 0.93
    assert result.uns["layer_colors"] == ["#ff0000", "#0000ff"]
    assert result.uns["interpolation"]["coupled"] > 0.9


def test_interpolation_is_nearer_to_the_truth_than_either_slice():
    adata = make_slices()
    held_out = make_slices(1)
    # an independent draw of slice b lies half-way between a and c
    true = held_out[held_out.obs["slice"] == "b"]
    result = interpolate(adata, names=("a", "c"))

    def distance(other):
        return joint_distance(
            other.obsm["spatial"], other.obsm["X_pca"], true.obsm["spatial"], true.obsm["X_pca"]
        )

    copies = [adata[adata.obs["slice"] == name] for name in "ac"]
    assert distance(result) < min(distance(copy) for copy in copies)


def test_depths_choose_the_slices_around(slices):
    names = ["c", "a", "b"]
    result = interpolate(slices, 20, names, depth="depth_um", mass=None)
    assert result.uns["interpolation"]["between"] == ["b", "c"]
    assert result.n_obs == 90
    assert result.obs["weight"].sum() == pytest.approx(1)
    repeat = interpolate(
        slices, 20, names, depth={"a": 0, "b": 10, "c": 30}, mass={"a": 5, "b": 1, "c": 3}
    )
    np.testing.assert_allclose(repeat.obsm["spatial"], result.obsm["spatial"])
    assert repeat.obs["weight"].sum() == pytest.approx(2)
    from_list = interpolate(slices, 1.5, ["a", "b", "c"])
    np.testing.assert_allclose(from_list.obsm["spatial"], result.obsm["spatial"])


@pytest.mark.parametrize(("at", "name"), [(0, "a"), (1, "b"), (2, "c")])
def test_a_measured_slice_is_returned(slices, at, name):
    result = interpolate(slices, at, ["a", "b", "c"], cell_keys="layer")
    true = slices[slices.obs["slice"] == name]
    np.testing.assert_allclose(result.obsm["spatial"], true.obsm["spatial"])
    np.testing.assert_allclose(result.X.toarray(), true.X.toarray())
    np.testing.assert_array_equal(result.obs["layer"].astype(str), true.obs["layer"].astype(str))
    assert interpolate(slices, at, ["a", "b", "c"], n_obs=20).n_obs == 20


def test_fewer_genes_and_other_representations(slices):
    result = interpolate(slices, genes=["4", "1"], use_rep="X", n_obs=30)
    assert result.var_names.tolist() == ["4", "1"]
    assert result.n_obs == 30
    every = interpolate(slices, use_rep="X", n_obs=30)
    np.testing.assert_array_equal(result.X.toarray(), every[:, ["4", "1"]].X.toarray())
    assert "X_pca" not in result.obsm
    del slices.X
    assert interpolate(slices).X is None


@pytest.mark.parametrize("labels_from", ["place", "state"])
def test_spots_without_a_label(slices, labels_from):
    slices.obs.loc[slices.obs["layer"] == "outer", "layer"] = np.nan
    result = interpolate(slices, cell_keys="layer", smoothing=0, labels_from=labels_from)
    lone = result.obs["layer"].isna()
    assert 0.2 < lone.mean() < 0.8
    assert result.obsm["layer_probability"][lone].isna().to_numpy().all()


def test_labels_of_intermingled_cells(slices):
    rng = np.random.default_rng(0)
    kind = rng.random(slices.n_obs) < 0.3
    slices.obs["type"] = pd.Categorical(np.where(kind, "rare", "common"))
    slices.obsm["X_pca"] = np.c_[10.0 * kind, rng.normal(size=slices.n_obs)]
    rare = {
        source: (
            interpolate(slices, cell_keys="type", labels_from=source).obs["type"] == "rare"
        ).mean()
        for source in ("place", "state")
    }
    # the standard error of the share of 210 cells is 3 %
    assert rare["state"] == pytest.approx(kind[slices.obs["slice"] != "c"].mean(), abs=0.1)
    assert rare["place"] < 0.1


def test_slices_in_different_frames_are_logged(slices, caplog):
    slices.obsm["spatial"][slices.obs["slice"] == "b"] += 100
    logger = logging.getLogger("scdiffot")
    logger.addHandler(caplog.handler)
    result = interpolate(slices)
    logger.removeHandler(caplog.handler)
    assert "check that `spatial_key`" in caplog.text
    assert result.uns["interpolation"]["coupled"] == 0


def test_result_can_be_written(slices, tmp_path):
    result = interpolate(slices, cell_keys="layer")
    result.write_h5ad(tmp_path / "made.h5ad")
    from_file = ad.read_h5ad(tmp_path / "made.h5ad")
    np.testing.assert_array_equal(from_file.obsm["spatial"], result.obsm["spatial"])
    assert list(from_file.uns["interpolation"]["between"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"names": ["a"]}, ValueError, "`between` names 1 slice"),
        ({"names": 3}, ValueError, "`between` names 1 slice"),
        ({"names": None}, TypeError, "`between` is a NoneType: pass a name, or a list of names"),
        ({"names": ["a", "d"]}, KeyError, "`between` names 'd', which is no slice"),
        ({"names": ["a", "a"]}, ValueError, "names a slice twice"),
        ({"at": 3}, ValueError, "`at` is 3: the slices 'a', 'b' cover depths from 0 to 1"),
        ({"at": "a"}, TypeError, "`at` is a str"),
        ({"depth": "layer"}, TypeError, "`depth` obs"),
        ({"depth": "depths"}, KeyError, "no column of obs"),
        ({"depth": {"a": 0}}, KeyError, "`depth` has no entry for 'b'"),
        ({"depth": {"a": 1, "b": 1}}, ValueError, "the same depth"),
        ({"depth": {"a": 1, "b": np.nan}}, TypeError, "`depth` of 'b' is nan"),
        ({"mass": "n_cells"}, ValueError, "`mass` is 'n_cells'"),
        ({"mass": {"a": 1, "b": 0}}, ValueError, "`mass` of 'b' is not positive"),
        ({"form": "fused"}, ValueError, "`form` is 'fused'"),
        ({"spatial_weight": 0}, ValueError, "`spatial_weight` is 0"),
        ({"smoothing": -1}, ValueError, "`smoothing` is -1"),
        ({"n_obs": 0}, ValueError, "`n_obs` is 0"),
        ({"genes": ["4", "1", "4"]}, ValueError, "`genes` names a gene twice: '4'"),
        ({"genes": ["7"]}, KeyError, "`genes` names '7'"),
        ({"cell_keys": "type"}, KeyError, "`cell_keys` is 'type'"),
        ({"labels_from": "genes"}, ValueError, "`labels_from` is 'genes': pass 'place', 'state'"),
        ({"layers": "counts"}, KeyError, "`layer` is 'counts'"),
        ({"spatial_key": "aligned"}, KeyError, "`spatial_key` is 'aligned'"),
    ],
)
def test_bad_input(slices, options, error, message):
    with pytest.raises(error, match=message):
        interpolate(slices, **options)


def test_labels_become_columns_of_a_file(slices, tmp_path):
    slices.obs["layer"] = (
        slices.obs["layer"].astype(str).replace("outer", "T/NK").astype("category")
    )
    result = interpolate(slices, cell_keys="layer", n_obs=20)
    result.write_h5ad(tmp_path / "a.h5ad")
    columns = ad.read_h5ad(tmp_path / "a.h5ad").obsm["layer_probability"].columns
    assert "T|NK" in columns
    assert "T/NK" in result.obs["layer"].cat.categories
    for name in ("", ".", "T|NK"):
        first = next(c for c in slices.obs["layer"].cat.categories if c != "T/NK")
        slices.obs["wrong"] = slices.obs["layer"].cat.rename_categories({first: name})
        with pytest.raises(
            ValueError, match=r"`cell_keys` obs\['wrong'\] has the labels .*rename them"
        ):
            interpolate(slices, cell_keys="wrong")


def test_depths_that_vary_within_a_slice(slices):
    slices.obs["noise"] = np.arange(slices.n_obs)
    with pytest.raises(ValueError, match="it must be one number"):
        interpolate(slices, depth="noise")


def test_missing_coordinates(slices):
    slices.obsm["spatial"][3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite in 1 of"):
        interpolate(slices)
