"""Part K of the benchmarks: tissue in space and time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def space(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.tasks import space

    return space


@pytest.fixture
def slices(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.tasks import space_slices

    return space_slices


def asymmetric_spots(rng, n=400):
    """Spots that are longer than wide, and denser at one end of both axes."""
    return rng.gamma(2.0, [3.0, 1.0], size=(n, 2))


def test_rigid_motion_is_removed_and_nothing_else(space):
    rng = np.random.default_rng(0)
    positions, times = asymmetric_spots(rng), np.repeat([0.0, 1.0], 200)
    rotation = np.column_stack([-positions[:, 1], positions[:, 0]])
    rigid = np.where(times[:, None] == 0, 0.5 * rotation + [3.0, -1.0], -2.0 * rotation)
    np.testing.assert_allclose(space.without_rigid_motion(rigid, positions, times), 0, atol=1e-9)
    # Expansion from the centre of a slice is no rigid motion.
    centres = np.array([positions[times == t].mean(axis=0) for t in (0.0, 1.0)])[times.astype(int)]
    growth = positions - centres
    np.testing.assert_allclose(
        space.without_rigid_motion(growth + rigid, positions, times), growth, atol=1e-9
    )
    assert space.cosine(growth, 3 * growth) == pytest.approx(1)
    assert space.cosine(growth, -growth) == pytest.approx(-1)


def test_errors_of_poses_are_relative_to_the_registration(slices):
    from scdiffot.core.spatial.align.pose import Pose

    rng = np.random.default_rng(0)
    spots = asymmetric_spots(rng)
    frames = [
        Pose(Pose.turn(angle).rotation, shift)
        for angle, shift in ((0.3, [5.0, 1.0]), (-1.0, [0.0, 2.0]))
    ]
    # The registration has other units, and some spots are not registered.
    warped = 7 * spots + 100
    warped[:20] = np.nan
    fixed, moving = (slices.Section(frame.apply(spots), spots, warped) for frame in frames)
    true = slices.true_pose(fixed, moving)
    np.testing.assert_allclose(true.apply(moving.spots), fixed.spots, atol=1e-8)
    rotated = Pose.turn(np.radians(10)).compose(true)
    assert slices.angle_between(rotated, true) == pytest.approx(10)
    assert slices.angle_between(Pose.turn(0.0, reflected=True).compose(true), true) == 180
    shifted = Pose(true.rotation, true.shift + [3 * slices.median_spacing(fixed.spots), 0])
    assert slices.distance_between(shifted, true, moving, fixed) == pytest.approx(3)
    assert slices.is_beyond_cut(spots, np.array([1.0, 0.0])).mean() == pytest.approx(0.7)
    assert spots[slices.is_beyond_cut(spots, np.array([1.0, 0.0])), 0].min() > np.quantile(
        spots[:, 0], 0.29
    )


def test_baselines_of_alignment_find_the_poses_within_their_reach(slices):
    from scdiffot.core.spatial.align.pose import Pose

    spots = asymmetric_spots(np.random.default_rng(0))
    fixed = slices.Section(spots, spots, spots)
    errors = {}
    for angle, reflected in ((4.0, False), (100.0, True)):
        pose = Pose(
            Pose.turn(np.radians(angle), reflected=reflected).rotation, np.array([20.0, -3.0])
        )
        moving = fixed._replace(spots=pose.apply(spots))
        for name in ("ICP", "principal axes", "centroids only"):
            errors[name, reflected] = slices.angle_between(
                slices.ALIGNMENTS[name](fixed, moving), pose.inverse
            )
    assert errors["ICP", False] < 0.1
    assert errors["centroids only", False] == pytest.approx(4)
    assert errors["principal axes", False] < 1e-6
    assert errors["principal axes", True] < 1e-6
    assert errors["ICP", True] == 180


def test_sections_are_compared_at_the_measured_spots(slices):
    import anndata as ad

    rng = np.random.default_rng(0)
    positions = rng.uniform(size=(60, 2))
    true = ad.AnnData(
        np.column_stack([positions, np.ones(60)]), obsm={"frame": positions, "X_pca": positions}
    )
    true.obs["cluster"] = np.where(positions[:, 0] > 0.5, "b", "a")
    assert slices.section_scores(true, true, 0) == {
        "joint": pytest.approx(0, abs=1e-6),
        "gene_r": pytest.approx(2 / 3),
        "labels": 1,
    }
    # Expression at permuted positions has worse scores; spots without a label are ignored.
    permuted = true[rng.permutation(60)].copy()
    permuted.obsm["frame"] = positions
    true.obs["cluster"] = np.where(positions[:, 1] > 0.5, true.obs["cluster"], "")
    scores = slices.section_scores(permuted, true, 0)
    assert scores["joint"] > 0.1
    assert scores["gene_r"] < 0.4
    labelled = (true.obs["cluster"] != "").to_numpy()
    labels, true_labels = (a.obs["cluster"].to_numpy()[labelled] for a in (permuted, true))
    assert scores["labels"] == pytest.approx((labels == true_labels).mean())


def test_tables_without_data_are_left_out(space, monkeypatch, tmp_path):
    from benchmarks.report.space import section
    from benchmarks.settings import Settings
    from benchmarks.store import Store

    monkeypatch.setenv("SCDIFFOT_DATA", str(tmp_path))
    with pytest.warns(
        UserWarning, match=r"domains is left out: spatial/starmap_mpfc\.h5ad not found"
    ):
        assert list(space.run("domains", Settings())) == []
    store = Store(tmp_path / "b.json")
    assert section(store) == ""
    row = {
        "part": "K",
        "data": "scale",
        "task": "alignment",
        "method": "scdiffot",
        "seed": 0,
        "n_cells": 50_000,
    }
    store.rows = [row | {"cpu_s": 12.0, "peak_mib": 900.0, "before_mib": 300.0}]
    page = section(store)
    assert "| alignment, 50,000 | 12 | 900 | 300 |" in page
    assert "- domains: `spatial/starmap_mpfc.h5ad`" in page


JOINT_DISTANCES = {
    "scdiffot, displacement": 0.6,
    "copy of the one before": 0.8,
    "copy of the one after": 0.9,
    "both, pooled": 0.75,
    "halves of the section": 0.5,
}


def make_row(data, **values):
    return {"part": "K", "data": data, "seed": 0, **values}


def rows_of_domains_and_alignment():
    domains = {"task": "together", "variant": "BZ5", "method": "scdiffot", "cpu_s": 1.0}
    alignment = {"task": "whole", "method": "scdiffot", "rmse": 0.5, "cpu_s": 2.0}
    for seed, ari in ((0, 0.8), (1, 0.7)):
        yield make_row("domains", **domains, ari=ari) | {"seed": seed}
    for variant, angle in (("A1 A2", 1.0), ("A2 A3", 7.0)):
        yield make_row("alignment", **alignment, variant=variant, angle=angle)


def rows_of_held_out_slices():
    for k, (method, joint) in enumerate(JOINT_DISTANCES.items()):
        scores = (
            {}
            if method.startswith("halves")
            else {"gene_r": 0.1, "labels": 0.5 + 0.01 * k, "cpu_s": 3.0}
        )
        yield make_row("slices", task="mpfc", variant="BZ9", method=method, joint=joint, **scores)


def rows_of_rotating_tissue():
    angles = {"angles": [-8.2], "true": [-8.0], "errors": [0.2]}
    yield make_row("rotating", task="angles", method="scdiffot", cpu_s=5.0, **angles)
    copies = list(JOINT_DISTANCES.items())[1:3]
    stage = {"task": "held-out time", "variant": "0.5"}
    for method, joint in (*copies, ("halves", 0.3), ("scdiffot", 0.4)):
        cost = {"mass_error": 0.01, "cpu_s": 9.0} if method == "scdiffot" else {}
        yield make_row("rotating", **stage, method=method, joint=joint, **cost)


def rows_of_simulated_tissue():
    truth = {"n_cells": 1000, "velocity": 0.9, "growth_r": 0.86, "fate_error": 0.03, "cpu_s": 40.0}
    yield make_row("tissue", method="scdiffot, states alone", **truth)
    yield make_row("tissue", method="scdiffot", migration=0.95, angle_error=0.4, **truth)


def test_page_of_space_shows_the_rows(space, tmp_path):
    from benchmarks.report.space import section
    from benchmarks.store import Store

    store = Store(tmp_path / "b.json")
    store.rows += [
        *rows_of_domains_and_alignment(),
        *rows_of_held_out_slices(),
        *rows_of_rotating_tissue(),
        *rows_of_simulated_tissue(),
    ]
    page = section(store)
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert "| scdiffot, together | 0.750 | 0.750 | 0.100 | 1.000 |" in lines
    assert "| scdiffot, whole | 1 of 2 | 4.000 | 7.000 | 0.500 | 2.000 |" in lines
    # The correlation is not below that of the best copy; the share of correct labels is.
    ratios, scores = "0.750 | 0.800 | 1.200 | 1 of 1", "0.100, 1 of 1 | 0.500, 0 of 1 | 3.000"
    assert f"| mpfc, scdiffot, displacement | {ratios} | {scores} |" in lines
    assert "estimated -8.20; true -8.00. Largest error 0.200" in page
    assert "| 0.5 | 0.500 | 0.444 | 0.400 | 0.800 | 0.900 | 0.300 | 0.010 | 9.000 |" in lines
    assert "| scdiffot, states alone, 1,000 | – | 0.900 | 0.860 | 0.030 | 40 |" in lines
    assert "Largest error of a rotation\nbetween slices: 0.400 degrees." in page


@pytest.mark.slow
def test_simulated_tissue_has_scores_with_and_without_positions(space):
    from benchmarks.settings import Settings

    rows = list(
        space.run(
            "tissue",
            Settings(
                n_seeds=1,
                quick=True,
                n_obs=60,
                fit={
                    "config": {
                        "train": {"n_steps": 20},
                        "corrections": {"n_rounds": 0},
                        "matching": {"n_steps": 5},
                    }
                },
            ),
        )
    )
    assert [row["method"] for row in rows] == [
        "scdiffot",
        "scdiffot, changing with time",
        "scdiffot, states alone",
    ]
    assert "migration" not in rows[2]
    assert rows[0]["angle_error"] >= 0
    assert all(-1 <= row[key] <= 1 for row in rows for key in ("velocity", "growth_r"))
    assert all(0 <= row["fate_error"] <= 1 for row in rows)


@pytest.mark.slow
def test_steps_of_large_slices_are_measured_in_separate_processes(space):
    from benchmarks.settings import Settings
    from benchmarks.tasks import space_scale

    settings = Settings(quick=True, n_obs=500)
    rows = {row["task"]: row for row in space.run("scale", settings)}
    assert set(rows) == set(space_scale.STEPS)
    assert all(row["peak_mib"] >= row["before_mib"] > 0 for row in rows.values())
    assert rows["alignment"]["check"] < 2
    assert rows["interpolation"]["check"] == 500
