"""Domains of layered tissues with known truth."""

from __future__ import annotations

import os
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy
from sklearn.metrics import adjusted_rand_score

import scdiffot as sdo
from scdiffot._analysis.domain_models import mixture

DOMAIN, PROBABILITY, ENTRY = "scdiffot_domain", "scdiffot_domain_probability", "scdiffot_domains"


def _layers(n: int = 400, n_slices: int = 1, n_layers: int = 3, seed: int = 0) -> ad.AnnData:
    """Layers that differ less than their spots; slices are shifted, rotated and cut differently."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(size=(n_slices * n, 2)) * [2, 1]
    code = np.repeat(np.arange(n_slices), n)
    # the first layer is thin, and thinner in later slices
    depth = xy[:, 1] ** (1 + 0.2 * code)
    layer = np.digitize(depth, np.linspace(0, 1, n_layers + 1)[1:-1])
    means = 1.6 * rng.normal(size=(n_layers, 12))
    means[:, 3:] = 0
    states = means[layer] + rng.normal(size=(len(xy), 12))
    for i in range(n_slices):
        xy[code == i] = (
            xy[code == i] @ np.array([[np.cos(i), -np.sin(i)], [np.sin(i), np.cos(i)]]) * 10.0**i
            + i
        )
    obs = pd.DataFrame(
        {
            "slice": pd.Categorical([f"s{c}" for c in code]),
            "layer": pd.Categorical(layer.astype(str)),
        },
        index=[f"spot{i}" for i in range(len(xy))],
    )
    return ad.AnnData(states.astype(np.float32), obs=obs, obsm={"spatial": xy, "X_pca": states})


@pytest.fixture(scope="module")
def _embedding() -> ad.AnnData:
    adata = _layers(n_slices=2)
    sdo.pp.spatial_embedding(adata, library_key="slice")
    return adata


@pytest.fixture
def tissue(_embedding: ad.AnnData) -> ad.AnnData:
    return _embedding.copy()


def _score(adata: ad.AnnData, column: str = DOMAIN) -> float:
    return adjusted_rand_score(adata.obs["layer"], adata.obs[column])


def test_layers_are_found_and_have_the_same_names_in_all_slices(tissue, fingerprint):
    previous = fingerprint(tissue)
    assert sdo.tl.spatial_domains(tissue, 3) is None
    assert _score(tissue) > 0.85
    counts = pd.crosstab(tissue.obs["layer"], [tissue.obs["slice"], tissue.obs[DOMAIN]])
    assert (counts["s0"].idxmax() == counts["s1"].idxmax()).all()
    sdo.tl.spatial_domains(tissue, 3, use_rep="X_pca", key_added="plain")
    assert _score(tissue) > _score(tissue, "plain_domain") + 0.05
    for column in (DOMAIN, "plain_domain"):
        del tissue.obs[column], tissue.obsm[f"{column}_probability"], tissue.uns[f"{column}s"]
    assert fingerprint(tissue) == previous


def test_names_are_sorted_by_size_and_match_the_probabilities(tissue):
    sdo.tl.spatial_domains(tissue, 4)
    column, probability = tissue.obs[DOMAIN], tissue.obsm[PROBABILITY]
    assert list(column.cat.categories) == list(probability.columns) == ["0", "1", "2", "3"]
    assert (np.diff(column.value_counts()[list("0123")]) <= 0).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (probability.idxmax(axis=1) == column.astype(str)).all()
    assert probability.index.equals(tissue.obs_names)


def test_seeds_agree(tissue):
    labels = [
        sdo.tl.spatial_domains(tissue, 4, rng=seed, copy=True).obs[DOMAIN] for seed in (0, 1, 2)
    ]
    assert min(adjusted_rand_score(labels[0], other) for other in labels[1:]) > 0.97
    repeat = sdo.tl.spatial_domains(tissue, 4, rng=0, copy=True).obs[DOMAIN]
    assert (repeat == labels[0]).all()


@pytest.mark.parametrize("n_layers", [2, 4])
def test_the_criterion_finds_the_number_of_domains(n_layers):
    adata = _layers(n=900, n_layers=n_layers, seed=5)
    sdo.pp.spatial_embedding(adata)
    sdo.tl.spatial_domains(adata, n_init=5)
    result = adata.obs[DOMAIN].cat.categories.size
    assert result == n_layers
    # averages alone would give border neighbourhoods their own domains
    entry = adata.uns[ENTRY]
    assert entry["bic"].argmin() >= entry["bic_spots"].argmin() == result - 1


def test_noise_is_one_domain():
    rng = np.random.default_rng(0)
    adata = ad.AnnData(rng.normal(size=(600, 10)), obsm={"spatial": rng.uniform(size=(600, 2))})
    sdo.pp.spatial_embedding(adata, use_rep="X")
    sdo.tl.spatial_domains(adata, n_init=5)
    assert list(adata.obs[DOMAIN].cat.categories) == ["0"]


def test_refinement_removes_single_spots():
    adata = _layers()
    sdo.tl.spatial_domains(adata, 3, use_rep="X_pca")
    sdo.tl.spatial_domains(adata, 3, use_rep="X_pca", refine=2, key_added="refined")
    assert _score(adata, "refined_domain") > _score(adata) + 0.05


@pytest.mark.parametrize("max_spots", [500, 5000])
def test_starts_with_a_third_of_the_spots_find_the_same_domains(max_spots):
    rng = np.random.default_rng(0)
    layers = rng.integers(3, size=1500)
    features = rng.normal(size=(1500, 4)) + 6 * np.eye(3, 4)[layers]
    options = {"n_init": 5, "n_averaged": 1.0, "states": None}
    probabilities, _ = mixture(features, 3, rng=rng, max_spots=max_spots, **options)
    # A normal cell is nearer to another centre than to its own with probability 1e-5.
    labels = probabilities.argmax(axis=1)
    assert len({*zip(labels, layers, strict=True)}) == 3


def test_leiden():
    pytest.importorskip("igraph")
    adata = _layers()
    sdo.pp.spatial_embedding(adata)
    previous = set(adata.obsp)
    sdo.tl.spatial_domains(adata, 3, method="leiden")
    assert _score(adata) > 0.6
    assert (adata.obsm[PROBABILITY].idxmax(axis=1) == adata.obs[DOMAIN].astype(str)).all()
    assert adata.uns[ENTRY]["resolution"] > 0
    assert set(adata.obsp) == previous


def test_results_survive_a_file(tissue, tmp_path):
    tissue.uns["scdiffot_domain_colors"] = ["#000000"]
    sdo.tl.spatial_domains(tissue, 3, library_key="slice", refine=1)
    assert "scdiffot_domain_colors" not in tissue.uns
    tissue.write_h5ad(tmp_path / "tissue.h5ad")
    read = ad.read_h5ad(tmp_path / "tissue.h5ad")
    pd.testing.assert_frame_equal(read.obsm[PROBABILITY], tissue.obsm[PROBABILITY])
    assert read.uns[ENTRY]["params"]["n_domains"] == 3
    # results from a file are valid input
    sdo.tl.spatial_domains(read, 3)


def _forget(adata: ad.AnnData) -> None:
    del adata.obsm["X_spatial"]


@pytest.mark.parametrize(
    ("spoil", "options", "error", "message"),
    [
        (_forget, {}, KeyError, "run scdiffot.pp.spatial_embedding"),
        (None, {"n_domains": 0}, ValueError, "`n_domains` is 0"),
        (None, {"n_domains": 500}, ValueError, "`n_domains` is 500, but there are 800 spots"),
        (None, {"n_domains": 2.5}, TypeError, "`n_domains` is a float"),
        (None, {"method": "kmeans"}, ValueError, "`method` is 'kmeans'"),
        (None, {"n_init": 0}, ValueError, "`n_init` is 0"),
        (None, {"refine": -1}, ValueError, "`refine` is -1"),
        (None, {"refine": 1, "spatial_key": "xy"}, KeyError, "`spatial_key` is 'xy'"),
        (None, {"refine": 1, "library_key": "section"}, KeyError, "`library_key` is 'section'"),
    ],
)
def test_bad_input_is_refused_and_nothing_written(
    tissue, spoil, options, error, message, fingerprint
):
    if spoil is not None:
        spoil(tissue)
    previous = fingerprint(tissue)
    with pytest.raises(error, match=message):
        sdo.tl.spatial_domains(tissue, **{"n_domains": 3} | options)
    assert fingerprint(tissue) == previous


@pytest.mark.slow
def test_layers_of_the_cortex():
    """Three sections of mouse prefrontal cortex with four annotated layers."""
    path = Path(os.environ.get("SCDIFFOT_DATA", ".")) / "spatial" / "starmap_mpfc.h5ad"
    if not path.exists():
        pytest.skip("needs spatial/starmap_mpfc.h5ad in the folder SCDIFFOT_DATA")
    adata = ad.read_h5ad(path)
    scanpy.pp.normalize_total(adata)
    scanpy.pp.log1p(adata)
    alone, scores = [], []
    for name in adata.obs["slice"].cat.categories:
        section = adata[adata.obs["slice"] == name].copy()
        scanpy.pp.pca(section)
        sdo.pp.spatial_embedding(section)
        sdo.tl.spatial_domains(section, 4)
        sdo.tl.spatial_domains(section, 4, use_rep="X_pca", n_dims=20, key_added="plain")
        truth = section.obs["label"]
        alone.append(adjusted_rand_score(truth, section.obs[DOMAIN]))
        assert alone[-1] > adjusted_rand_score(truth, section.obs["plain_domain"]) + 0.2
    assert np.mean(alone) > 0.75
    scanpy.pp.pca(adata)
    sdo.pp.spatial_embedding(adata, library_key="slice")
    for seed in range(2):
        sdo.tl.spatial_domains(adata, 4, rng=seed)
        by_slice = adata.obs.groupby("slice", observed=True)
        scores.append(
            np.mean([adjusted_rand_score(part["label"], part[DOMAIN]) for _, part in by_slice])
        )
    assert min(scores) > 0.75
    assert np.ptp(scores) <= 0.03
