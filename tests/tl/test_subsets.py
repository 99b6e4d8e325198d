"""Fits without the cells of the first or last time: clear errors, and working tools."""

from __future__ import annotations

import pytest

import scdiffot as sdo

QUIET = {"n_trajectories": 5, "show_progress": False}


def _calls(name):
    return {
        "sta_forward": lambda a, **options: sdo.tl.sta_forward(a, "cell_type", **QUIET, **options),
        "sta_backward": lambda a, **options: sdo.tl.sta_backward(
            a, "cell_type", **QUIET, **options
        ),
        "perturb": lambda a, **options: sdo.tl.perturb(
            a, {"g0": 1.0}, "cell_type", **QUIET, **options
        ),
        "perturb_screen": lambda a, **options: sdo.tl.perturb_screen(
            a, "cell_type", kind="knockdown", **QUIET, **options
        ),
        "trajectory_genes": lambda a, **options: sdo.tl.trajectory_genes(
            a, "cell_type", **QUIET, **options
        ),
    }[name]


@pytest.fixture
def named_adata(time_course, quick):
    time_course.var_names = [f"g{i}" for i in range(time_course.n_vars)]
    time_course.X = time_course.X - time_course.X.min()
    sdo.tl.fit(time_course, "time", use_rep="X", **quick)
    return time_course


@pytest.mark.parametrize(
    ("name", "missing_values", "message", "remedy"),
    [
        (
            "sta_forward",
            2,
            "`target_time` is by default the last time of the fit, 2, of which",
            {"target_time": 1},
        ),
        (
            "sta_backward",
            2,
            "`source` is by default the last time of the fit, 2, of which",
            {"source": 1},
        ),
        (
            "sta_backward",
            0,
            "`target_time` is by default the first time of the fit, 0, of which",
            {"target_time": 1},
        ),
        (
            "perturb",
            2,
            "`target_time` is by default the last time of the fit, 2, of which",
            {"target_time": 1},
        ),
        (
            "perturb",
            0,
            "`source` is by default the first time of the fit, 0, of which",
            {"source": 1},
        ),
        (
            "perturb_screen",
            0,
            "`source` is by default the first time of the fit, 0, of which",
            {"source": 1},
        ),
        ("trajectory_genes", 2, "`target_time` is by default the last time", {"target_time": 1}),
        ("trajectory_genes", 0, "`source` is by default the first time", {"source": 1}),
    ],
)
def test_missing_times_are_named(named_adata, fingerprint, name, missing_values, message, remedy):
    part = named_adata[named_adata.obs["time"] != missing_values].copy()
    previous = fingerprint(part)
    with pytest.raises(KeyError, match=message):
        _calls(name)(part)
    assert fingerprint(part) == previous
    _calls(name)(part, **remedy)


def test_later_cells_need_no_first_time(named_adata):
    """Fates are computed for all remaining cells before the target."""
    part = named_adata[named_adata.obs["time"] != 0].copy()
    _calls("sta_forward")(part)
    has_fate = part.obsm["scdiffot_fate"].notna().all(axis=1)
    assert (has_fate == (part.obs["time"] == 1)).all()
    last = named_adata[named_adata.obs["time"] == 2].copy()
    with pytest.raises(
        ValueError, match="`source` is by default all cells before `target_time`, 2, .* has none"
    ):
        _calls("sta_forward")(last)


@pytest.mark.parametrize("missing_values", [0, 1, 2])
def test_populations_of_subsets_are_refused(named_adata, fingerprint, missing_values):
    """Without this check, the second snapshot would be used as the first."""
    part = named_adata[named_adata.obs["time"] != missing_values].copy()
    previous = fingerprint(part)
    for call in (lambda: sdo.tl.landscape(part, n_grid=12), lambda: sdo.tl.interpolate(part, 0.5)):
        with pytest.raises(
            KeyError, match=f"`adata` has no cells of time {missing_values}, from which the fit"
        ):
            call()
    assert fingerprint(part) == previous
