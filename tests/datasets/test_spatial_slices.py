"""A simulated tissue with known fates, growth and migration."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

from scdiffot import datasets
from scdiffot.datasets._simulated.laws import evolve
from scdiffot.datasets._simulated.laws_tissue import TYPES, tissue_fates, tissue_law, tissue_types
from scdiffot.datasets._simulated.spatial_slices import RADIUS

N_DIMS = 4


@pytest.fixture(scope="module")
def tissue() -> ad.AnnData:
    return datasets.spatial_slices(400, n_dims=N_DIMS, n_genes=20, n_paths=20, rng=3)


@pytest.fixture(scope="module")
def law():
    """The law of that tissue, which is drawn before the cells."""
    return tissue_law(N_DIMS, 0.5, np.random.default_rng(3))


def joint(adata: ad.AnnData) -> np.ndarray:
    return np.hstack([adata.obsm["true_state"], adata.obsm["spatial_true"] / RADIUS])


def test_layout(tissue):
    assert tissue.X.dtype == np.float32
    assert tissue.X.min() >= 0
    assert tissue.obs_names.is_unique
    assert tissue.obs["time"].is_monotonic_increasing
    assert sorted(set(tissue.obs["time"])) == [0, 1, 2, 3]
    assert tissue.obs["slice"].dtype.ordered
    assert tissue.obs["cell_type"].cat.categories.tolist() == list(TYPES)
    assert tissue.obsm["true_fate"].columns.tolist() == list(TYPES)
    assert (
        tissue.obsm["X_pca"].shape == tissue.obsm["true_velocity"].shape == (tissue.n_obs, N_DIMS)
    )
    counts = tissue.obs["slice"].value_counts(sort=False).to_numpy()
    np.testing.assert_allclose(tissue.uns["true"]["masses"], counts / 400)
    assert len(np.unique(tissue.obsm["spatial"], axis=0)) == tissue.n_obs


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2:UserWarning")
def test_files_keep_everything(tissue, suffix, tmp_path):
    path = tmp_path / f"tissue.{suffix}"
    getattr(tissue, f"write_{suffix}")(path)
    repeat = getattr(ad, f"read_{suffix}")(path)
    pd.testing.assert_frame_equal(repeat.obsm["true_fate"], tissue.obsm["true_fate"])
    np.testing.assert_array_equal(repeat.uns["true"]["shifts"], tissue.uns["true"]["shifts"])
    assert repeat.uns["true"]["params"] == tissue.uns["true"]["params"]


def test_components_are_those_of_scanpy_and_decode(tissue):
    np.testing.assert_allclose(
        tissue.obsm["X_pca"] @ tissue.varm["PCs"].T + tissue.X.mean(axis=0), tissue.X, atol=1e-5
    )
    other = ad.AnnData(tissue.X.copy())
    sc.pp.pca(other, n_comps=N_DIMS, svd_solver="full")
    signs = np.sign((other.varm["PCs"] * tissue.varm["PCs"]).sum(axis=0))
    np.testing.assert_allclose(other.obsm["X_pca"] * signs, tissue.obsm["X_pca"], atol=1e-3)


def test_components_are_a_rotation_of_the_state(tissue):
    z = tissue.obsm["true_state"] - tissue.obsm["true_state"].mean(axis=0)
    rotation = np.linalg.lstsq(z, tissue.obsm["X_pca"], rcond=None)[0]
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(N_DIMS), atol=1e-5)
    np.testing.assert_allclose(z @ rotation, tissue.obsm["X_pca"], atol=1e-5)


def test_poses(tissue):
    truth = tissue.uns["true"]
    np.testing.assert_allclose(truth["angles"], [0, 8, 16, 24])
    np.testing.assert_allclose(np.linalg.norm(truth["shifts"], axis=1), [0, 100, 100, 100])
    for k, angle in enumerate(np.deg2rad(truth["angles"])):
        rows = (tissue.obs["slice"] == f"t{k}").to_numpy()
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        positions = tissue.obsm["spatial_true"][rows] @ turn.T + truth["shifts"][k]
        np.testing.assert_allclose(tissue.obsm["spatial"][rows], positions, atol=1e-9)


def test_truth_is_the_law_at_the_cells(tissue, law):
    x = joint(tissue)
    drift = law.drift(x, 0.0)
    np.testing.assert_allclose(tissue.obsm["true_migration"], RADIUS * drift[:, -2:], atol=1e-9)
    np.testing.assert_allclose(tissue.obs["true_growth"], law.growth(x, 0.0), atol=1e-12)
    z = x[:, :-2] - x[:, :-2].mean(axis=0)
    rotation = np.linalg.lstsq(z, tissue.obsm["X_pca"], rcond=None)[0]
    np.testing.assert_allclose(tissue.obsm["true_velocity"], drift[:, :-2] @ rotation, atol=1e-5)
    np.testing.assert_array_equal(tissue.obs["cell_type"].cat.codes, tissue_types(x))


def test_short_steps_follow_the_law(tissue, law):
    n, h = 40_000, 1e-3
    x0 = np.tile(joint(tissue)[500], (n, 1))
    end_states, log_weights = evolve(
        law, x0, 0.0, h, dt=h / 4, rng=np.random.default_rng(0), branch=False
    )
    step = end_states - x0
    error = law.sigma * np.sqrt(h / n)
    np.testing.assert_array_less(
        np.abs(step.mean(axis=0) - law.drift(x0[:1], 0.0)[0] * h), 5 * error
    )
    np.testing.assert_allclose(step.var(axis=0), law.sigma**2 * h, rtol=5 * np.sqrt(2 / n))
    np.testing.assert_allclose(log_weights.mean(), law.growth(x0[:1], 0.0)[0] * h, rtol=0.05)


def test_drift_of_states_and_positions_is_a_gradient(tissue, law):
    # the drift of the states is a gradient, and so is that of the positions: symmetric derivatives
    x, h = joint(tissue)[::97], 1e-5
    d = x.shape[1]
    steps = h * np.eye(d)
    jacobian = np.stack(
        [(law.drift(x + e, 0.0) - law.drift(x - e, 0.0)) / (2 * h) for e in steps], axis=-1
    )
    for block in (slice(0, N_DIMS), slice(N_DIMS, d)):
        part = jacobian[:, block, block]
        np.testing.assert_allclose(part, np.swapaxes(part, 1, 2), atol=1e-7)
    # positions affect states, and states affect positions
    assert np.abs(jacobian[:, 1, -2]).max() > 0.1
    assert np.abs(jacobian[:, -2, 1]).max() > 0.05


def test_fates_are_those_of_clones(law):
    # reference: many branching clones of single cells, simulated with finer steps
    rng = np.random.default_rng(1)
    starts = law.initial(200, rng)
    border_cells = np.argsort(np.abs(np.abs(starts[:, -2]) - 0.75))[:6]
    n = 1500
    shares, numbers = tissue_fates(law, starts[border_cells], 0.0, 3.0, n_paths=n, dt=0.1, rng=rng)
    for cell, share, number in zip(starts[border_cells], shares, numbers, strict=True):
        ends = evolve(law, np.tile(cell, (n, 1)), 0.0, 3.0, dt=0.02, rng=rng)[0]
        estimate = np.bincount(tissue_types(ends), minlength=3) / len(ends)
        # relatives share their trajectory, so a clone counts as one draw; steps of 0.1 bias the
        # shares by 0.01
        np.testing.assert_allclose(share, estimate, atol=5 * 0.5 * np.sqrt(2 / n) + 0.01)
        assert number == pytest.approx(len(ends) / n, rel=0.1)


def test_fates_predict_size_and_composition_of_the_last_slice(tissue):
    fate = tissue.obsm["true_fate"].to_numpy()
    np.testing.assert_allclose(fate.sum(axis=1), 1)
    last = (tissue.obs["time"] == 3).to_numpy()
    np.testing.assert_array_equal(
        fate[last].argmax(axis=1), tissue.obs["cell_type"][last].cat.codes
    )
    assert set(np.unique(fate[last])) == {0.0, 1.0}
    assert (tissue.obs["true_n_descendants"][last] == 1).all()
    # every slice predicts the size and the composition of the last one; tolerance: sampling error
    # of 400 founders
    counts = tissue.obs["slice"].value_counts(sort=False)
    codes = tissue.obs["cell_type"][last].cat.codes
    shares = np.bincount(codes, minlength=3) / last.sum()
    for name in ("t0", "t1", "t2"):
        rows = (tissue.obs["slice"] == name).to_numpy()
        expected = tissue.obs["true_n_descendants"][rows]
        assert expected.mean() * counts[name] == pytest.approx(counts["t3"], rel=0.15)
        np.testing.assert_allclose(
            np.average(fate[rows], axis=0, weights=expected),
            shares,
            atol=5 * 0.5 * np.sqrt(2 / 400),
        )


def test_position_determines_the_fate(tissue):
    first = (tissue.obs["time"] == 0).to_numpy()
    distances = np.abs(tissue.obsm["spatial_true"][first, 0])
    pole = tissue.obsm["true_fate"]["pole"].to_numpy()[first]
    assert pole[distances > 1.2 * RADIUS].mean() > 0.9
    assert pole[distances < 0.3 * RADIUS].mean() < 0.1
    assert ((pole > 0.1) & (pole < 0.9)).mean() > 0.1


def test_law_does_not_depend_on_the_number_of_cells():
    few, many = (datasets.spatial_slices(n, n_paths=1, rng=5).uns["true"] for n in (30, 60))
    np.testing.assert_array_equal(few["shifts"], many["shifts"])
    repeat = datasets.spatial_slices(30, n_paths=1, rng=5)
    np.testing.assert_array_equal(
        repeat.X, datasets.spatial_slices(30, n_paths=1, rng=np.random.default_rng(5)).X
    )


def test_options():
    adata = datasets.spatial_slices(
        50, n_times=3, rotation=-30, shift=0, growth=0, n_dims=2, n_genes=2, n_paths=1
    )
    assert adata.obs["slice"].value_counts().tolist() == [50, 50, 50]
    assert sorted(set(adata.obs["time"])) == [0, 1.5, 3]
    np.testing.assert_allclose(adata.uns["true"]["angles"], [0, 330, 300])
    assert not adata.uns["true"]["shifts"].any()
    assert not adata.obs["true_growth"].any()
    assert adata.shape == (150, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_obs": 5}, "`n_obs` is 5: pass at least 10"),
        ({"n_times": 1}, "`n_times` is 1"),
        ({"n_dims": 1}, "`n_dims` is 1"),
        ({"n_dims": 11}, "`n_dims` is 11: pass at most 10"),
        ({"n_dims": 5, "n_genes": 4}, "`n_genes` is 4: pass at least 5"),
        ({"n_paths": 0}, "`n_paths` is 0"),
        ({"rotation": np.nan}, "`rotation` is nan"),
        (
            {"rotation": 400},
            "`rotation` is 400: pass a number from -360 to 360",
        ),
        ({"shift": -1}, "`shift` is -1: pass a number that is zero or positive"),
        ({"growth": 3}, "`growth` is 3"),
        ({"growth": "fast"}, "`growth` is a str"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        datasets.spatial_slices(**options)
