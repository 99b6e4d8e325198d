"""Slices of a tissue in one frame."""

from __future__ import annotations

import os
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests.tl.spatial.conftest import SIZES, make_slices

import scdiffot as sdo
from scdiffot.core.spatial.align.pose import Pose


@pytest.fixture(scope="module")
def aligned():
    adata = make_slices()
    sdo.tl.align_slices(adata, "slice", show_progress=False)
    return adata


def _spread(adata, points):
    """Root mean squared distance from the truth, after one rigid motion of all points."""
    from scdiffot.core.spatial.align.pose import procrustes

    pose = procrustes(adata.obsm["true"], points)
    return float(np.sqrt(((pose.apply(points) - adata.obsm["true"]) ** 2).sum(axis=1).mean()))


def test_aligned_slices_overlap(aligned):
    assert _spread(aligned, aligned.obsm["spatial"]) > 2
    assert _spread(aligned, aligned.obsm["scdiffot_aligned"]) < 0.2


def test_the_middle_slice_does_not_move(aligned):
    rows = (aligned.obs["slice"] == "s10").to_numpy()
    np.testing.assert_array_equal(
        aligned.obsm["scdiffot_aligned"][rows], aligned.obsm["spatial"][rows]
    )
    assert aligned.uns["scdiffot_slices"]["params"]["reference"] == "s10"


def test_the_table_has_angles_and_reflections(aligned):
    table = sdo.get.alignment(aligned).table.set_index("slice")
    assert list(table.index) == ["s9", "s10", "s11"]
    assert table["reflected"].tolist() == [True, False, True]
    assert set(table["reference"]) == {"s10"}
    assert table["neighbor"].tolist() == ["s10", "s10", "s10"]
    # slice k is rotated by 1 + 2 k; angles add if the reference is mirrored
    expected = np.degrees([3.0 + 1.0, 0.0, 3.0 + 5.0])
    difference = (table["angle"] - expected + 180) % 360 - 180
    assert difference.abs().max() < 4
    assert table["score"].between(0.4, 1).all()
    assert table["overlap"].between(0.9, 1.0001).all()
    assert not table["partial"].any()
    assert not table["deformed"].any()


def make_symmetric(n=120):
    """Two sections of an ellipse with a mirror symmetry, the second rotated by 40 degrees."""
    rng = np.random.default_rng(5)
    spots = rng.uniform([-3, -2], [3, 2], size=(8 * n, 2))
    spots = spots[(spots**2 / [9, 4]).sum(axis=1) < 1][: 2 * n]
    x, y = spots.T
    states = np.column_stack([np.sin(1.3 * x), np.cos(1.5 * y)]) + 0.3 * rng.normal(size=(2 * n, 2))
    rotated_spots = Pose.turn(np.radians(40)).apply(spots)
    names = np.repeat(["flat", "turned"], n)
    positions = np.where((names == "turned")[:, None], rotated_spots, spots)
    adata = ad.AnnData(states, obsm={"spatial": positions, "true": spots, "X_pca": states})
    adata.obs["slice"] = names
    return adata


def test_symmetric_sections_are_in_doubt_and_not_mirrored(caplog, tmp_path):
    adata = make_symmetric()
    sdo.tl.align_slices(adata, "slice", "flat", partial=False, show_progress=False)
    result = sdo.get.alignment(adata)
    row = result.table.set_index("slice").loc["turned"]
    assert not row["reflected"]
    assert row["angle"] == pytest.approx(-40, abs=5)
    assert row["runner_up_reflected"]
    assert row["margin"] == pytest.approx(row["score"] - row["runner_up_score"])
    assert abs(row["margin"]) < row["min_margin"]
    assert (
        result.table.set_index("slice")
        .loc["flat", ["runner_up_score", "margin", "min_margin"]]
        .isna()
        .all()
    )
    message = next(
        record.getMessage() for record in caplog.records if "in doubt" in record.getMessage()
    )
    for part in (
        "'turned' on 'flat'",
        "turned by -4",
        "mirrored and turned by",
        "reflections=False",
        "runner_up=True",
    ):
        assert part in message
    # in the runner-up pose, spots lie at their mirror image
    rows = (adata.obs["slice"] == "turned").to_numpy()
    second = result.apply(adata.obsm["spatial"][rows], "turned", runner_up=True)
    assert np.sqrt(((second - adata.obsm["true"][rows] * [1, -1]) ** 2).sum(axis=1).mean()) < 0.4
    with pytest.raises(ValueError, match="no second pose of slice 'flat'"):
        result.apply(second, "flat", runner_up=True)
    adata.write_h5ad(tmp_path / "a.h5ad")
    from_file = sdo.get.alignment(ad.read_h5ad(tmp_path / "a.h5ad"))
    np.testing.assert_array_equal(
        from_file.apply(adata.obsm["spatial"][rows], "turned", runner_up=True), second
    )
    pd.testing.assert_frame_equal(from_file.table, result.table, check_dtype=False)


def _as_frame(adata):
    adata.obsm["spatial"] = pd.DataFrame(
        adata.obsm["spatial"], index=adata.obs_names, columns=["x", "y"]
    )


def _as_integers(adata):
    adata.obsm["spatial"] = np.rint(1e6 * adata.obsm["spatial"]).astype(np.int64)


def _as_numbers(adata):
    adata.obs["slice"] = (adata.obs["slice"] == "turned").astype(int)


def _add_unused(adata):
    adata.obs["slice"] = pd.Categorical(adata.obs["slice"], categories=["none", "flat", "turned"])


def _odd_names(adata):
    adata.obs["slice"] = adata.obs["slice"].replace({"flat": "", "turned": "a/b"})


@pytest.mark.parametrize("change", [_as_frame, _as_integers, _as_numbers, _add_unused, _odd_names])
def test_other_containers_and_names(change, tmp_path):
    """The alignment is equal for all containers, in the unit of the coordinates, and in files."""
    options = {"partial": False, "n_starts": 4, "show_progress": False}
    plain, other = make_symmetric(60), make_symmetric(60)
    change(other)
    sdo.tl.align_slices(plain, "slice", **options)
    sdo.tl.align_slices(other, "slice", **options)
    unit = 1e6 if change is _as_integers else 1
    np.testing.assert_allclose(
        other.obsm["scdiffot_aligned"] / unit, plain.obsm["scdiffot_aligned"], atol=1e-5
    )
    other.write_h5ad(tmp_path / "a.h5ad")
    from_file = sdo.get.alignment(ad.read_h5ad(tmp_path / "a.h5ad"))
    last = from_file.table["slice"].iloc[-1]
    np.testing.assert_allclose(
        from_file.apply(np.asarray(other.obsm["spatial"])[-60:], last),
        other.obsm["scdiffot_aligned"][-60:],
    )


def test_views_files_and_mudata(tmp_path):
    mudata = pytest.importorskip("mudata")
    options = {"partial": False, "n_starts": 4, "show_progress": False}
    adata = make_symmetric(60)
    with pytest.raises(ValueError, match="`adata` is a view"):
        sdo.tl.align_slices(adata[:100], "slice", **options)
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed_adata = ad.read_h5ad(tmp_path / "a.h5ad", backed="r+")
    combined = mudata.MuData({"rna": adata.copy()})
    sdo.tl.align_slices(adata, "slice", **options)
    sdo.tl.align_slices(backed_adata, "slice", **options)
    np.testing.assert_allclose(
        backed_adata.obsm["scdiffot_aligned"], adata.obsm["scdiffot_aligned"]
    )
    backed_adata.file.close()
    sdo.tl.align_slices(
        combined, "rna:slice", use_rep="rna:X_pca", spatial_key="rna:spatial", **options
    )
    np.testing.assert_allclose(combined.obsm["scdiffot_aligned"], adata.obsm["scdiffot_aligned"])


def test_units_that_differ_are_logged(caplog):
    adata = make_symmetric()
    is_turned = (adata.obs["slice"] == "turned").to_numpy()
    options = {"partial": False, "reflections": False, "n_starts": 4, "show_progress": False}
    sdo.tl.align_slices(adata, "slice", "flat", **options)
    assert "times as far apart" not in caplog.text
    adata.obsm["spatial"][is_turned] *= 2.5
    sdo.tl.align_slices(adata, "slice", "flat", **options)
    message = next(r.getMessage() for r in caplog.records if "times as far apart" in r.getMessage())
    # the same points except for sampling noise: about 5 % of the distance between 120 spots
    assert float(message.split(" are ")[1].split(" times")[0]) == pytest.approx(2.5, rel=0.15)
    assert "slice 'turned'" in message
    assert "pixels and micrometres" in message
    caplog.clear()
    sdo.tl.interpolate_slices(adata, ["flat", "turned"], 0.5, library_key="slice")
    assert "times as far apart" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("mirrored_stage", [None, "1.5"])
def test_stages_of_a_rotating_tissue(mirrored_stage):
    """Stages rotate by -8 degrees each; only the mirrored stage is reflected back."""
    path = Path(os.environ.get("SCDIFFOT_DATA", "")) / "spatial" / "simulated_rotating_tissue.h5ad"
    if not path.is_file():
        pytest.skip("needs spatial/simulated_rotating_tissue.h5ad in the folder SCDIFFOT_DATA")
    adata = ad.read_h5ad(path)
    adata.obs["stage"] = adata.obs["time"].map(lambda t: f"{t:g}").to_numpy()
    is_flipped = (adata.obs["stage"] == mirrored_stage).to_numpy()
    adata.obsm["spatial"][is_flipped, 1] *= -1
    sdo.tl.align_slices(adata, "stage", "0", use_rep="X_input", partial=False, show_progress=False)
    table = sdo.get.alignment(adata).table
    assert table["reflected"].tolist() == (table["slice"] == mirrored_stage).tolist()
    true = np.degrees(adata.obs.groupby("stage")["theta"].first()[table["slice"]].to_numpy())
    # the tissue itself rotates by up to 3 degrees per step
    steps = np.diff(np.where(table["reflected"], np.nan, table["angle"]) + true)
    assert np.nanmax(np.abs(steps)) < 3
    assert (table["margin"] > table["min_margin"])[1:].all()


def test_unique_poses_are_not_in_doubt(caplog, aligned):
    caplog.clear()
    table = sdo.get.alignment(aligned).table.set_index("slice").drop(index="s10")
    assert (table["margin"] > table["min_margin"]).all()
    assert not table["runner_up_reflected"].any()
    sdo.get.alignment(aligned).warn()
    assert not caplog.records


def test_apply_and_invert(aligned):
    result = sdo.get.alignment(aligned)
    rows = (aligned.obs["slice"] == "s11").to_numpy()
    positions = result.apply(aligned.obsm["spatial"][rows], "s11")
    np.testing.assert_allclose(positions, aligned.obsm["scdiffot_aligned"][rows])
    np.testing.assert_allclose(result.invert(positions, "s11"), aligned.obsm["spatial"][rows])
    with pytest.raises(KeyError, match="'s12', which was not aligned. Did you mean"):
        result.apply(positions, "s12")
    with pytest.raises(ValueError, match=r"`points` has shape \(3,\)"):
        result.invert(np.zeros(3), "s11")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Writing zarr v2:UserWarning")
def test_nonrigid_alignment_survives_a_file(tmp_path):
    adata = make_slices(bend=0.25, noise=0.1)
    sdo.tl.align_slices(
        adata, "slice", "s9", method="nonrigid", key_added="bent", show_progress=False
    )
    sdo.tl.align_slices(adata, "slice", "s9", key_added="stiff", show_progress=False)
    table = sdo.get.alignment(adata, key="bent").table
    assert table["deformed"].any()
    assert not table["deformed"].iloc[0]
    assert _spread(adata, adata.obsm["bent_aligned"]) < 0.85 * _spread(
        adata, adata.obsm["stiff_aligned"]
    )
    adata.write_h5ad(tmp_path / "a.h5ad")
    adata.write_zarr(tmp_path / "a.zarr")
    for from_file in (ad.read_h5ad(tmp_path / "a.h5ad"), ad.read_zarr(tmp_path / "a.zarr")):
        result = sdo.get.alignment(from_file, key="bent")
        for name in SIZES:
            rows = (from_file.obs["slice"] == name).to_numpy()
            positions = result.apply(from_file.obsm["spatial"][rows], name)
            np.testing.assert_allclose(positions, adata.obsm["bent_aligned"][rows])
            np.testing.assert_allclose(
                result.invert(positions, name), from_file.obsm["spatial"][rows], atol=1e-6
            )
