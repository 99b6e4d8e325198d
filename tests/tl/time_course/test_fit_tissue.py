"""Fits in a tissue: positions are part of the state, and every tool uses them."""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest

import scdiffot as sdo
from scdiffot._data.read.spatial_states import make_tissue
from scdiffot._data.write.store import read_params, read_states, read_velocities


@pytest.fixture(scope="module")
def simulated() -> ad.AnnData:
    return sdo.datasets.spatial_slices(150, n_times=3, n_genes=12, n_dims=3, n_paths=5)


@pytest.fixture
def slices(simulated) -> ad.AnnData:
    return simulated.copy()


@pytest.fixture(scope="module")
def _fitted_once(simulated, quick) -> ad.AnnData:
    adata = simulated.copy()
    sdo.tl.fit(adata, "time", spatial_key="spatial", **quick)
    return adata


@pytest.fixture
def fitted_adata(_fitted_once) -> ad.AnnData:
    return _fitted_once.copy()


def test_states_and_positions_share_the_variance():
    rng = np.random.default_rng(0)
    states, positions = rng.normal(size=(500, 4)), 1e4 + 300 * rng.normal(size=(500, 2))
    for weight in (0.2, 0.5, 0.9):
        tissue = make_tissue(states, positions, "spatial", weight)
        joint = tissue.join(states, positions)
        total = joint.var(axis=0)
        assert total[4:].sum() / total.sum() == pytest.approx(weight)
        states_again, positions_again = tissue.split(joint)
        assert np.array_equal(states_again, states)
        assert np.allclose(positions_again, positions, rtol=1e-12)


def test_the_fit_writes_both_parts_of_the_drift(fitted_adata):
    model = sdo.get.model(fitted_adata)
    assert model.n_dims == 5
    assert fitted_adata.obsm["scdiffot_velocity"].shape == (fitted_adata.n_obs, 3)
    assert fitted_adata.obsm["scdiffot_migration"].shape == (fitted_adata.n_obs, 2)
    drift = model.drift(read_states(fitted_adata, "scdiffot"), fitted_adata.obs["time"].to_numpy())
    assert np.allclose(drift, read_velocities(fitted_adata, "scdiffot"), atol=1e-5)
    unit = read_params(fitted_adata, "scdiffot")["tissue"].unit
    assert np.allclose(
        drift[:, 3:] / unit, fitted_adata.obsm["scdiffot_migration"], rtol=1e-4, atol=1e-4
    )


def test_the_frame_is_that_of_the_first_time(fitted_adata):
    first = (fitted_adata.obs["time"] == 0).to_numpy()
    assert np.allclose(
        fitted_adata.obsm["scdiffot_aligned"][first], fitted_adata.obsm["spatial"][first]
    )
    result = sdo.get.alignment(fitted_adata)
    for name in result.poses:
        rows = (fitted_adata.obs["time"] == float(name)).to_numpy()
        assert np.allclose(
            result.apply(fitted_adata.obsm["spatial"][rows], name),
            fitted_adata.obsm["scdiffot_aligned"][rows],
        )


def test_aligned_coordinates_are_not_aligned_again(slices, quick):
    sdo.tl.align_slices(slices, "slice", key_added="mine", show_progress=False)
    sdo.tl.fit(slices, "time", spatial_key="mine_aligned", **quick)
    assert "scdiffot_aligned" not in slices.obsm
    assert read_params(slices, "scdiffot")["tissue"].spatial_key == "mine_aligned"


def test_without_alignment_positions_are_as_given(slices, quick):
    sdo.tl.fit(slices, "time", spatial_key="spatial", spatial_align=False, **quick)
    assert "scdiffot_slices" not in slices.uns
    assert read_params(slices, "scdiffot")["tissue"].spatial_key == "spatial"


def test_the_unit_of_the_coordinates_does_not_matter(slices, quick):
    sdo.tl.fit(slices, "time", spatial_key="spatial_true", spatial_align=False, **quick)
    slices.obsm["pixels"] = 4 * slices.obsm["spatial_true"] + 1000
    sdo.tl.fit(
        slices, "time", spatial_key="pixels", spatial_align=False, key_added="other", **quick
    )
    assert np.allclose(slices.obsm["other_velocity"], slices.obsm["scdiffot_velocity"], atol=1e-3)
    assert np.allclose(
        slices.obsm["other_migration"], 4 * slices.obsm["scdiffot_migration"], rtol=1e-2, atol=0.5
    )


@pytest.mark.parametrize("reflected", [False, True])
def test_fit_and_align_slices_mirror_alike(slices, quick, caplog, reflected):
    """Both reverse a reflected slice; both keep a symmetric tissue, with a warning."""
    last = (slices.obs["time"] == slices.obs["time"].max()).to_numpy()
    if reflected:
        # The pattern differs between the sides.
        slices.obsm["X_pca"] = np.tanh(
            slices.obsm["spatial_true"] @ [[1, 0, 0.5], [0, 1, 1]] / 300
        ).astype(np.float32)
        slices.obsm["spatial"][last, 1] *= -1
    sdo.tl.fit(slices, "time", spatial_key="spatial", **quick)
    by_fit = sdo.get.alignment(slices).table
    sdo.tl.align_slices(slices, "slice", "t0", partial=False, key_added="own", show_progress=False)
    by_align = sdo.get.alignment(slices, key="own").table
    assert (
        by_fit["reflected"].tolist() == by_align["reflected"].tolist() == [False, False, reflected]
    )
    np.testing.assert_allclose(by_fit["angle"], by_align["angle"])
    doubts = [record.getMessage() for record in caplog.records if "in doubt" in record.getMessage()]
    assert len(doubts) == 2 * (by_fit["margin"] < by_fit["min_margin"]).sum()
    assert all(
        "run scdiffot.tl.align_slices first" in message for message in doubts[: len(doubts) // 2]
    )


def test_three_coordinates(slices, quick):
    slices.obsm["solid"] = np.column_stack(
        [slices.obsm["spatial_true"], np.arange(slices.n_obs) % 7 * 50.0]
    )
    with pytest.raises(ValueError, match="found in two dimensions only"):
        sdo.tl.fit(slices, "time", spatial_key="solid", **quick)
    sdo.tl.fit(slices, "time", spatial_key="solid", spatial_align=False, **quick)
    assert slices.obsm["scdiffot_migration"].shape == (slices.n_obs, 3)


def test_simulated_paths_have_positions(fitted_adata):
    paths = sdo.tl.simulate(fitted_adata, 0.0, n_particles=20)
    start = fitted_adata.obsm["scdiffot_aligned"][paths.origin]
    assert paths.positions.shape == (*paths.states.shape[:2], 2)
    assert np.allclose(paths.positions[0], start, rtol=1e-4, atol=0.1)


def test_a_virtual_slice_has_positions(fitted_adata):
    between = sdo.tl.interpolate(fitted_adata, 0.75, n_obs=40)
    assert between.obsm["X_pca"].shape == (40, 3)
    low, high = (
        fitted_adata.obsm["scdiffot_aligned"].min(axis=0),
        fitted_adata.obsm["scdiffot_aligned"].max(axis=0),
    )
    margin = 0.2 * (high - low)
    assert (between.obsm["scdiffot_aligned"] > low - margin).all()
    assert (between.obsm["scdiffot_aligned"] < high + margin).all()


def test_fates_ancestors_landscapes_and_transitions(fitted_adata):
    sdo.tl.sta_forward(fitted_adata, "cell_type", 0.0, n_trajectories=5)
    assert np.isfinite(
        fitted_adata.obsm["scdiffot_fate"].loc[fitted_adata.obs["time"] == 0].to_numpy()
    ).all()
    sdo.tl.sta_backward(fitted_adata, "cell_type", n_trajectories=5)
    sdo.tl.landscape(fitted_adata, basis="scdiffot_aligned", times=[0.0], n_grid=20)
    assert np.isfinite(fitted_adata.uns["scdiffot"]["landscape"]["potential"]).any()
    sdo.tl.transition_matrix(fitted_adata)
    sdo.tl.validate(fitted_adata, show_progress=False)
    assert np.isfinite(fitted_adata.uns["scdiffot"]["validation"]["w1"]).all()


def test_genes_are_read_from_the_state_alone(fitted_adata, simulated, quick):
    """Genes of a fit in a tissue are those of the same cells without positions."""
    sdo.tl.gene_velocity(fitted_adata)
    loadings = fitted_adata.varm["PCs"]
    assert np.allclose(
        fitted_adata.layers["scdiffot_velocity"],
        fitted_adata.obsm["scdiffot_velocity"] @ loadings.T,
        atol=1e-4,
    )
    gene = fitted_adata.var_names[0]
    sdo.tl.perturb(
        fitted_adata, {gene: 0}, "cell_type", source=0.0, n_trajectories=5, show_progress=False
    )
    sdo.tl.regulation(fitted_adata, show_progress=False)
    sdo.tl.growth_genes(fitted_adata, show_progress=False)
    assert not sdo.get.regulation(fitted_adata).empty


def test_arrows_in_the_tissue_are_the_migration(fitted_adata):
    sdo.pl.velocity(fitted_adata, basis="scdiffot_aligned", kind="cells", show=False)
    arrows = [c for c in plt.gca().collections if hasattr(c, "U")][0]
    arrow_vectors = np.column_stack([arrows.U, arrows.V])
    assert len(arrow_vectors) > 0
    assert (
        np.abs(arrow_vectors[:, None] - fitted_adata.obsm["scdiffot_migration"])
        .sum(axis=2)
        .min(axis=1)
        .max()
        < 1e-3
    )
    sdo.pl.growth(fitted_adata, basis="scdiffot_aligned", show=False)
    sdo.pl.trajectories(
        fitted_adata,
        sdo.tl.simulate(fitted_adata, 0.0, n_particles=5),
        basis="scdiffot_aligned",
        show=False,
    )


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data will no longer be the default")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_files_keep_the_tissue(fitted_adata, tmp_path, suffix):
    path = tmp_path / f"fitted.{suffix}"
    getattr(fitted_adata, f"write_{suffix}")(path)
    restored = ad.read_h5ad(path) if suffix == "h5ad" else ad.read_zarr(path)
    paths = [
        sdo.tl.simulate(adata, 0.0, n_particles=10, rng=1).positions
        for adata in (fitted_adata, restored)
    ]
    assert np.array_equal(*paths)


def test_a_later_fit_without_positions_drops_the_migration(fitted_adata, quick):
    sdo.tl.fit(fitted_adata, "time", **quick)
    assert "scdiffot_migration" not in fitted_adata.obsm
    assert read_params(fitted_adata, "scdiffot")["tissue"] is None


def _nan(adata):
    adata.obsm["spatial"][3, 1] = np.nan


def _one_place(adata):
    adata.obsm["spatial"][:] = 1.0


def _missing(adata):
    adata.obsm["X_spatial"] = adata.obsm.pop("spatial")


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (_nan, {}, ValueError, "`spatial_key` 'spatial' is NaN or infinite in 1 of"),
        (_one_place, {}, ValueError, "only 1 distinct positions"),
        (_missing, {}, KeyError, "`spatial_key` is 'spatial', which is no key of obsm"),
        (None, {"spatial_key": "spatal"}, KeyError, "Did you mean 'spatial'"),
        (None, {"spatial_key": "X_pca"}, ValueError, "has 3 columns, and motions"),
        (
            None,
            {"spatial_weight": 1.0},
            ValueError,
            "`spatial_weight` is 1.0: pass a number between 0 and 1",
        ),
        (None, {"spatial_weight": "half"}, TypeError, "`spatial_weight` is a str"),
        (None, {"spatial_align": "yes"}, TypeError, "`spatial_align` is a str"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    slices, quick, fingerprint, change, options, error, message
):
    if change is not None:
        change(slices)
    original = fingerprint(slices)
    with pytest.raises(error, match=message):
        sdo.tl.fit(slices, "time", **{"spatial_key": "spatial"} | options, **quick)
    assert fingerprint(slices) == original


@pytest.mark.slow
def test_truth_of_a_simulated_tissue():
    """Slices have random poses; the tolerance of growth is the sampling error of 1000 cells."""
    adata = sdo.datasets.spatial_slices(1000, n_paths=10, rng=1)
    sdo.tl.fit(adata, "time", spatial_key="spatial", autonomous=True, show_progress=False)
    steps = np.diff(sdo.get.alignment(adata).table["angle"].to_numpy())
    # The tissue is not round and moves, so that angles are not exact.
    assert np.abs(steps + 8).max() < 5
    velocity, migration = (adata.obsm[f"scdiffot_{name}"] for name in ("velocity", "migration"))
    assert _cosine(velocity, adata.obsm["true_velocity"]) > 0.93
    assert _cosine(migration, adata.obsm["true_migration"]) > 0.85
    assert np.corrcoef(adata.obs["scdiffot_growth"], adata.obs["true_growth"])[0, 1] > 0.85


def _cosine(estimate: np.ndarray, truth: np.ndarray) -> float:
    return float((estimate * truth).sum() / np.sqrt((estimate**2).sum() * (truth**2).sum()))
