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


def lopsided(rng, n=400):
    """Spots whose outline is longer than wide, and has a heavier end on both axes."""
    return rng.gamma(2.0, [3.0, 1.0], size=(n, 2))


def test_rigid_motion_is_removed_and_nothing_else(space):
    rng = np.random.default_rng(0)
    place, times = lopsided(rng), np.repeat([0.0, 1.0], 200)
    around = np.column_stack([-place[:, 1], place[:, 0]])
    rigid = np.where(times[:, None] == 0, 0.5 * around + [3.0, -1.0], -2.0 * around)
    np.testing.assert_allclose(space.without_rigid_motion(rigid, place, times), 0, atol=1e-9)
    # growth about the middle of a slice is no rigid motion
    centres = np.array([place[times == t].mean(axis=0) for t in (0.0, 1.0)])[times.astype(int)]
    growth = place - centres
    np.testing.assert_allclose(
        space.without_rigid_motion(growth + rigid, place, times), growth, atol=1e-9
    )
    assert space.cosine(growth, 3 * growth) == pytest.approx(1)
    assert space.cosine(growth, -growth) == pytest.approx(-1)


def test_poses_are_judged_against_the_registration(slices):
    from scdiffot.core.spatial.align.pose import Pose

    rng = np.random.default_rng(0)
    spots = lopsided(rng)
    frames = [
        Pose(Pose.turn(angle).rotation, shift)
        for angle, shift in ((0.3, [5.0, 1.0]), (-1.0, [0.0, 2.0]))
    ]
    # Both lie on one tissue; the registration is in other units, and not known for every spot.
    warped = 7 * spots + 100
    warped[:20] = np.nan
    fixed, moving = (slices.Section(frame.apply(spots), spots, warped) for frame in frames)
    true = slices.true_pose(fixed, moving)
    np.testing.assert_allclose(true.apply(moving.spots), fixed.spots, atol=1e-8)
    turned = Pose.turn(np.radians(10)).after(true)
    assert slices.angle_between(turned, true) == pytest.approx(10)
    assert slices.angle_between(Pose.turn(0.0, reflected=True).after(true), true) == 180
    shifted = Pose(true.rotation, true.shift + [3 * slices.spacing(fixed.spots), 0])
    assert slices.distance_between(shifted, true, moving, fixed) == pytest.approx(3)
    assert slices.beyond(spots, np.array([1.0, 0.0])).mean() == pytest.approx(0.7)
    assert spots[slices.beyond(spots, np.array([1.0, 0.0])), 0].min() > np.quantile(
        spots[:, 0], 0.29
    )


def test_baselines_of_alignment_find_what_they_can(slices):
    from scdiffot.core.spatial.align.pose import Pose

    spots = lopsided(np.random.default_rng(0))
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
    places = rng.uniform(size=(60, 2))
    true = ad.AnnData(
        np.column_stack([places, np.ones(60)]), obsm={"frame": places, "X_pca": places}
    )
    true.obs["cluster"] = np.where(places[:, 0] > 0.5, "b", "a")
    same = slices.compared(true, true, 0)
    assert same == {
        "joint": pytest.approx(0, abs=1e-6),
        "gene_r": pytest.approx(2 / 3),
        "labels": 1,
    }
    # Expression that does not belong to the place; and spots without a label count for nothing.
    mixed = true[rng.permutation(60)].copy()
    mixed.obsm["frame"] = places
    true.obs["cluster"] = np.where(places[:, 1] > 0.5, true.obs["cluster"], "")
    found = slices.compared(mixed, true, 0)
    assert found["joint"] > 0.1
    assert found["gene_r"] < 0.4
    named = (true.obs["cluster"] != "").to_numpy()
    right = mixed.obs["cluster"].to_numpy()[named] == true.obs["cluster"].to_numpy()[named]
    assert found["labels"] == pytest.approx(right.mean())


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


def test_page_of_space_shows_the_rows(space, tmp_path):
    from benchmarks.report.space import section
    from benchmarks.store import Store

    def row(data, **values):
        return {"part": "K", "data": data, "seed": 0, **values}

    store = Store(tmp_path / "b.json")
    for seed, ari in ((0, 0.8), (1, 0.7)):
        store.rows.append(
            row("domains", task="together", variant="BZ5", method="scdiffot", ari=ari, cpu_s=1.0)
            | {"seed": seed}
        )
    for variant, angle in (("A1 A2", 1.0), ("A2 A3", 7.0)):
        store.rows.append(
            row(
                "alignment",
                task="whole",
                variant=variant,
                method="scdiffot",
                angle=angle,
                rmse=0.5,
                cpu_s=2.0,
            )
        )
    joints = {
        "scdiffot, displacement": 0.6,
        "copy of the one before": 0.8,
        "copy of the one after": 0.9,
        "both, pooled": 0.75,
        "halves of the section": 0.5,
    }
    for k, (method, joint) in enumerate(joints.items()):
        scores = (
            {}
            if method.startswith("halves")
            else {"gene_r": 0.1, "labels": 0.5 + 0.01 * k, "cpu_s": 3.0}
        )
        store.rows.append(
            row("slices", task="mpfc", variant="BZ9", method=method, joint=joint, **scores)
        )
    turns = {"angles": [-8.2], "true": [-8.0], "errors": [0.2]}
    store.rows.append(row("rotating", task="angles", method="scdiffot", cpu_s=5.0, **turns))
    for method, joint in (*list(joints.items())[1:3], ("halves", 0.3), ("scdiffot", 0.4)):
        mine = {"mass_error": 0.01, "cpu_s": 9.0} if method == "scdiffot" else {}
        store.rows.append(
            row("rotating", task="held-out time", variant="0.5", method=method, joint=joint, **mine)
        )
    truth = {"velocity": 0.9, "growth_r": 0.86, "fate_error": 0.03, "cpu_s": 40.0}
    store.rows.append(row("tissue", method="scdiffot, states alone", n_cells=1000, **truth))
    store.rows.append(
        row("tissue", method="scdiffot", n_cells=1000, migration=0.95, angle_error=0.4, **truth)
    )
    page = section(store)
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert "| scdiffot, together | 0.750 | 0.750 | 0.100 | 1.000 |" in lines
    assert "| scdiffot, whole | 1 of 2 | 4.000 | 7.000 | 0.500 | 2.000 |" in lines
    # Not below the best copy in the correlation; below it in the labels
    won = "| mpfc, scdiffot, displacement | 0.750 | 0.800 | 1.200 | 1 of 1 | 0.100, 1 of 1 | 0.500, 0 of 1 | 3.000 |"
    assert won in lines
    assert "estimated -8.20; true -8.00. Largest error 0.200" in page
    assert "| 0.5 | 0.500 | 0.444 | 0.400 | 0.800 | 0.900 | 0.300 | 0.010 | 9.000 |" in lines
    assert "| scdiffot, states alone, 1,000 | – | 0.900 | 0.860 | 0.030 | 40 |" in lines
    assert "Largest error of a rotation\nbetween slices: 0.400 degrees." in page


@pytest.mark.slow
def test_simulated_tissue_is_judged_with_and_without_places(space, monkeypatch):
    from benchmarks.settings import Settings

    monkeypatch.setattr(space, "N_OBS_QUICK", 60)
    rows = list(
        space.run(
            "tissue", Settings(n_seeds=1, quick=True, fit={"n_steps": 20, "n_corrections": 0})
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
def test_steps_of_large_slices_are_measured_in_processes_of_their_own(space, monkeypatch):
    from benchmarks.settings import Settings
    from benchmarks.tasks import space_scale

    monkeypatch.setattr(space_scale, "N_SPOTS_QUICK", 500)
    rows = {row["task"]: row for row in space.run("scale", Settings(quick=True))}
    assert set(rows) == set(space_scale.STEPS)
    assert all(row["peak_mib"] >= row["before_mib"] > 0 for row in rows.values())
    assert rows["alignment"]["check"] < 2
    assert rows["interpolation"]["check"] == 500
