"""Embeddings of neighbourhoods, their invariances, and errors for unsuitable data."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scdiffot as sdo


def _tissue(n: int = 150, n_slices: int = 2, seed: int = 0) -> ad.AnnData:
    """Slices with two domains, in random poses; six of ten dimensions differ, three strongly."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(size=(n_slices * n, 2))
    right = xy[:, 0] > 0.5
    states = rng.normal(size=(len(xy), 10))
    states[:, :3] += right[:, None]
    slices = np.repeat([f"s{i}" for i in range(n_slices)], n)
    obs = pd.DataFrame(
        {"slice": pd.Categorical(slices), "half": pd.Categorical(np.where(right, "R", "L"))},
        index=[f"spot{i}" for i in range(len(xy))],
    )
    return ad.AnnData(states.astype(np.float32), obs=obs, obsm={"spatial": xy, "X_pca": states})[
        rng.permutation(len(xy))
    ].copy()


def _rotate(xy: np.ndarray) -> np.ndarray:
    turn = np.array([[np.cos(2.0), -np.sin(2.0)], [np.sin(2.0), np.cos(2.0)]])
    return 55 * xy @ turn * [1, -1] + [1e3, -400]


def test_domains_are_separated(fingerprint):
    adata = _tissue()
    previous = fingerprint(adata)
    assert sdo.pp.spatial_embedding(adata, library_key="slice") is None
    first = adata.obsm["X_spatial"][:, 0]
    assert abs(np.corrcoef(first, adata.obs["half"] == "R")[0, 1]) > 0.85
    assert abs(np.corrcoef(adata.obsm["X_pca"][:, 0], adata.obs["half"] == "R")[0, 1]) < 0.6
    entry = adata.uns["X_spatial"]
    assert entry["share"][0] > entry["noise"]
    assert entry["params"]["n_components"] == adata.obsm["X_spatial"].shape[1]
    del adata.obsm["X_spatial"], adata.uns["X_spatial"]
    assert fingerprint(adata) == previous


def test_pose_and_unit_of_slices_do_not_matter():
    adata = _tissue()
    other = adata.copy()
    second = (adata.obs["slice"] == "s1").to_numpy()
    other.obsm["spatial"][second] = _rotate(adata.obsm["spatial"][second])
    other.obsm["X_pca"] = 100 * adata.obsm["X_pca"]
    for data in (adata, other):
        sdo.pp.spatial_embedding(
            data, library_key="slice", channels=["mean", "gradient", "variance"]
        )
    np.testing.assert_allclose(
        adata.obsm["X_spatial"], other.obsm["X_spatial"], rtol=1e-6, atol=1e-8
    )


def test_slices_at_the_same_coordinates_stay_separate():
    adata = _tissue(n_slices=1)
    alone = sdo.pp.spatial_embedding(adata, n_components=None, copy=True).obsm["X_spatial"]
    other = adata.copy()
    other.obs_names = [f"other{i}" for i in range(other.n_obs)]
    other.obs["slice"] = "s1"
    other.obsm["X_pca"] = -other.obsm["X_pca"]
    combined = ad.concat([adata, other])
    sdo.pp.spatial_embedding(combined, library_key="slice", n_components=None)
    np.testing.assert_allclose(combined.obsm["X_spatial"], np.vstack([alone, -alone]), atol=1e-12)


def test_channels_and_components_are_columns():
    adata = _tissue()
    sdo.pp.spatial_embedding(
        adata, n_components=4, channels=("gradient", "mean"), library_key="slice"
    )
    assert adata.obsm["X_spatial"].shape == (adata.n_obs, 8)
    assert adata.obsm["X_spatial"][:, :4].min() >= 0
    # an embedding may replace one of the same name
    sdo.pp.spatial_embedding(adata, n_components=None, n_hops=0, n_dims=3)
    np.testing.assert_allclose(adata.obsm["X_spatial"], adata.obsm["X_pca"][:, :3])


def test_links_of_another_graph():
    adata = _tissue()
    n = adata.n_obs
    adata.obsp["spatial_connectivities"] = sparse.csr_matrix((n, n))
    sdo.pp.spatial_embedding(adata, connectivity_key="spatial_connectivities", n_components=None)
    np.testing.assert_allclose(adata.obsm["X_spatial"], adata.obsm["X_pca"])
    adata.obsp["across"] = sparse.csr_matrix(np.ones((n, n)))
    with pytest.raises(ValueError, match=r"links .* pairs of spots of different slices"):
        sdo.pp.spatial_embedding(adata, connectivity_key="across", library_key="slice")
    with pytest.raises(KeyError, match="squidpy.gr.spatial_neighbors"):
        sdo.pp.spatial_embedding(adata, connectivity_key="none")


# warnings of squidpy itself
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_graph_of_squidpy():
    squidpy = pytest.importorskip("squidpy")
    adata = _tissue()
    squidpy.gr.spatial_neighbors(adata, library_key="slice", coord_type="generic", n_neighs=6)
    for name, key in (("squidpy", "spatial_connectivities"), ("own", None)):
        sdo.pp.spatial_embedding(
            adata,
            library_key="slice",
            n_hops=1,
            n_neighbors=6,
            connectivity_key=key,
            key_added=name,
            n_components=None,
        )
    # except for spots at the same distance, to within a thousandth
    close = np.isclose(adata.obsm["squidpy"], adata.obsm["own"], atol=1e-9).all(axis=1)
    assert close.mean() > 0.9


def test_harmony_removes_differences_between_slices():
    pytest.importorskip("harmonypy")
    adata = _tissue()
    second = (adata.obs["slice"] == "s1").to_numpy()
    adata.obsm["X_pca"][second, 0] += 3
    distance = []
    for correction in (None, "harmony"):
        sdo.pp.spatial_embedding(adata, library_key="slice", batch_correction=correction)
        x = adata.obsm["X_spatial"]
        distance.append(np.linalg.norm(x[second].mean(axis=0) - x[~second].mean(axis=0)) / x.std())
        entry = adata.uns["X_spatial"]
        assert ("mixing" in entry) is (correction is not None)
    assert distance[1] < 0.7 * distance[0]
    # two slices of equal size; neighbours by brute force instead of a tree
    distances = np.linalg.norm(x[:, None] - x[None], axis=2)
    near = np.argsort(distances + 1e9 * np.eye(len(x)), axis=1)[:, :30]
    expected = (second[near] != second[:, None]).mean() / (150 / 299)
    assert entry["mixing"] == pytest.approx(expected, rel=1e-6)
    assert entry["mixing_before"] < entry["mixing"]
    assert abs(np.corrcoef(x[:, 0], adata.obs["half"] == "R")[0, 1]) > 0.8


def test_a_correction_that_does_not_mix_is_logged(caplog):
    pytest.importorskip("harmonypy")
    adata = _tissue()
    second = (adata.obs["slice"] == "s1").to_numpy()
    # Harmony cannot remove this batch effect, because the slices share no cluster
    adata.obsm["X_pca"][second] += 1000 * np.arange(1, 11) ** 2
    sdo.pp.spatial_embedding(
        adata, library_key="slice", batch_correction="harmony", n_components=None
    )
    entry = adata.uns["X_spatial"]
    doubts = [r for r in caplog.records if "does not mix the slices" in r.getMessage()]
    assert bool(doubts) is (entry["mixing"] < 0.3)
    assert doubts


def test_spots_of_several_slices_without_their_column_are_logged(caplog):
    adata = _tissue()
    options = {"use_rep": "X_pca", "n_hops": 1}
    sdo.pp.spatial_embedding(adata, **options, library_key="slice")
    assert not caplog.records
    sdo.pp.spatial_embedding(adata, **options)
    assert "obs['slice'] lie among each other" in caplog.text
    assert "Pass `library_key`='slice'" in caplog.text
    caplog.clear()
    del adata.obs["slice"]
    sdo.pp.spatial_embedding(adata, **options)
    assert not caplog.records
    adata.uns["spatial"] = {"left": {}, "right": {}}
    sdo.pp.spatial_embedding(adata, **options)
    assert "adata.uns['spatial'] has the libraries 'left', 'right'" in caplog.text
    caplog.clear()
    # slices have no links to each other, wherever they lie
    adata = _tissue()
    adata.obsm["spatial"] += 10 * adata.obs["slice"].cat.codes.to_numpy()[:, None]
    sdo.pp.spatial_embedding(adata, **options)
    assert not caplog.records


def test_three_coordinates():
    adata = _tissue()
    adata.obsm["spatial"] = np.hstack([adata.obsm["spatial"], np.zeros((adata.n_obs, 1))])
    flat = _tissue()
    for data in (adata, flat):
        sdo.pp.spatial_embedding(data, channels=("mean", "gradient"), library_key="slice")
    np.testing.assert_allclose(
        adata.obsm["X_spatial"], flat.obsm["X_spatial"], rtol=5e-3, atol=1e-6
    )


def _without_slice(adata: ad.AnnData) -> None:
    adata.obs["slice"] = adata.obs["slice"].where(np.arange(adata.n_obs) > 4)


def _nan(adata: ad.AnnData) -> None:
    adata.obsm["spatial"][3] = np.nan


def _one_place(adata: ad.AnnData) -> None:
    adata.obsm["spatial"][:] = 1.0


def _other_embedding(adata: ad.AnnData) -> None:
    adata.obsm["X_spatial"] = adata.obsm["X_pca"]


def _nowhere(adata: ad.AnnData) -> None:
    del adata.obsm["spatial"]


@pytest.mark.parametrize(
    ("spoil", "options", "error", "message"),
    [
        (_without_slice, {}, ValueError, "NaN in 5 of 300 spots"),
        (_nan, {}, ValueError, "NaN or infinite in 1 of 300"),
        (_one_place, {}, ValueError, "only 1 distinct positions"),
        (_other_embedding, {}, ValueError, "no spatial embedding"),
        (_nowhere, {}, KeyError, "spatial_key"),
        (None, {"channels": ("mean", "median")}, ValueError, "`channels`"),
        (None, {"channels": 3}, TypeError, "`channels` is a int: pass a name, or a list of names"),
        (None, {"channels": ()}, ValueError, "`channels`"),
        (None, {"n_hops": -1}, ValueError, "`n_hops` is -1"),
        (None, {"n_neighbors": 2.5}, TypeError, "`n_neighbors` is a float"),
        (None, {"n_components": 11}, ValueError, "`n_components` is 11"),
        (None, {"batch_correction": "combat"}, ValueError, "`batch_correction`"),
        (None, {"library_key": None, "batch_correction": "harmony"}, ValueError, "several slices"),
        (None, {"library_key": "section"}, KeyError, "no column of obs"),
        (None, {"key_added": "spatial"}, ValueError, "`key_added`"),
        (None, {"use_rep": "X_scVI"}, KeyError, "`use_rep`"),
    ],
)
def test_bad_input_is_refused_and_nothing_written(spoil, options, error, message, fingerprint):
    adata = _tissue()
    if spoil is not None:
        spoil(adata)
    previous = fingerprint(adata)
    with pytest.raises(error, match=message):
        sdo.pp.spatial_embedding(adata, **{"library_key": "slice"} | options)
    assert fingerprint(adata) == previous
