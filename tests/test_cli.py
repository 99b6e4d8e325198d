"""Commands run in their own process, and write the same results as the functions."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import anndata as ad
import numpy as np
import pytest

import scdiffot as sdo
from scdiffot import cli
from scdiffot.cli._errors import BadInput

TIME_MAP = ("--time-map", "day0=0", "day1=1", "day2=2")


def _run(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from scdiffot.cli import main; sys.exit(main())",
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


@pytest.fixture
def path(time_course, tmp_path):
    time_course.write_h5ad(tmp_path / "course.h5ad")
    return tmp_path / "course.h5ad"


@pytest.mark.parametrize("command", [[], ["demo"], ["fit"], ["fate"], ["perturb"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "--help"])
    assert stop.value.code == 0
    assert "usage: scdiffot" in capsys.readouterr().out


def test_version(capsys):
    from importlib.metadata import version

    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.split() == ["scdiffot", version("scdiffot")]


def test_help_imports_no_heavy_package():
    code = (
        "import sys; from scdiffot.cli import _parser; _parser().format_help(); "
        "print('numpy' in sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "False"


def test_fit_writes_the_results_of_the_function(path, time_course, tmp_path, quick):
    out = tmp_path / "fitted.h5ad"
    options = (
        "--use-rep",
        "pca",
        "--n-dims",
        2,
        "--sigma",
        0.3,
        "--n-steps",
        30,
        "--rng",
        4,
        "--key-added",
        "run",
    )
    process = _run(
        "fit",
        path,
        "-o",
        out,
        "--time-key",
        "label",
        *TIME_MAP,
        *options,
        "--no-growth",
    )
    assert process.returncode == 0, process.stderr
    assert "W1 of the roll-out at 2" in process.stdout
    assert process.stderr == ""
    sdo.tl.fit(
        time_course,
        "label",
        time_map={"day0": 0, "day1": 1, "day2": 2},
        use_rep="pca",
        n_dims=2,
        sigma=0.3,
        config={"train": {"n_steps": 30}},
        rng=4,
        key_added="run",
        growth=False,
        show_progress=False,
    )
    fitted_adata = ad.read_h5ad(out)
    np.testing.assert_array_equal(
        fitted_adata.obsm["run_velocity"], time_course.obsm["run_velocity"]
    )
    assert "validation" not in fitted_adata.uns["run"]


def test_flags_reach_the_function(path, tmp_path, monkeypatch):
    calls = []

    def record(*_, **options):
        calls.append(options)
        raise BadInput("no fit")

    monkeypatch.setattr(sdo.tl, "fit", record)
    words = ["fit", str(path), "--time-key", "time", "-o", str(tmp_path / "fitted.h5ad")]
    for flags in ([], ["--autonomous"], ["--no-growth", "--no-align"]):
        assert cli.main([*words, *flags]) == 2
    names = ("autonomous", "growth", "spatial_align")
    assert [tuple(options[name] for name in names) for options in calls] == [
        (False, True, True),
        (True, True, True),
        (False, False, False),
    ]


def test_fit_quiet_and_validated(path, tmp_path):
    out = tmp_path / "fitted.h5ad"
    options = ("--sigma", 0.3, "--n-steps", 20, "--mass", "equal", "--validate", "--quiet")
    process = _run("fit", path, "--time-key", "time", "-o", out, *options)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    assert ad.read_h5ad(out).uns["scdiffot"]["validation"]["time"].tolist() == [1.0]


def test_fit_in_a_tissue(tmp_path):
    sdo.datasets.spatial_slices(60, n_times=2, n_genes=6, n_dims=2, n_paths=2).write_h5ad(
        tmp_path / "slices.h5ad"
    )
    out = tmp_path / "fitted.h5ad"
    options = (
        "--spatial-key",
        "spatial_true",
        "--spatial-weight",
        0.3,
        "--no-align",
        "--sigma",
        0.3,
        "--n-steps",
        20,
    )
    process = _run(
        "fit", tmp_path / "slices.h5ad", "--time-key", "time", "-o", out, *options, "--quiet"
    )
    assert process.returncode == 0
    # small slices warn about the uneven spacing of spots
    assert all(
        line.startswith("scdiffot fit: warning: Spots of slice")
        for line in process.stderr.splitlines()
    )
    fitted_adata = ad.read_h5ad(out)
    assert fitted_adata.obsm["scdiffot_migration"].shape == (fitted_adata.n_obs, 2)
    assert "scdiffot_aligned" not in fitted_adata.obsm


@pytest.fixture
def fitted_path(fitted_adata, tmp_path):
    fitted_adata.write_h5ad(tmp_path / "fitted.h5ad")
    return tmp_path / "fitted.h5ad"


def test_fate_writes_the_results_of_the_function(fitted_path, fitted_adata, tmp_path):
    out = tmp_path / "fates.h5ad"
    options = (
        "--source",
        "time < 2",
        "--target-time",
        "2",
        "--n-trajectories",
        20,
        "--rng",
        3,
        "--path",
    )
    process = _run("fate", fitted_path, "-o", out, "--cell-key", "cell_type", *options)
    assert (process.returncode, process.stderr) == (0, "")
    sdo.tl.sta_forward(
        fitted_adata,
        "cell_type",
        "time < 2",
        target_time=2.0,
        n_trajectories=20,
        rng=3,
        path=True,
        show_progress=False,
    )
    fates = ad.read_h5ad(out)
    for name in ("scdiffot_fate", "scdiffot_fate_se", "scdiffot_fate_path"):
        np.testing.assert_array_equal(fates.obsm[name], fitted_adata.obsm[name])
    np.testing.assert_array_equal(
        fates.obs["scdiffot_n_descendants"], fitted_adata.obs["scdiffot_n_descendants"]
    )
    # the summary has one row for each type, with the largest fates
    is_source = fitted_adata.obs["time"] < 2
    for name in ("A", "B"):
        members = is_source & (fitted_adata.obs["cell_type"] == name)
        means = fitted_adata.obsm["scdiffot_fate"][members].mean()
        (line,) = [text for text in process.stdout.splitlines() if text.startswith(f"│ {name} ")]
        assert f" {members.sum()} " in line
        assert f"{means.idxmax()} {means.max():.2f}" in line


def test_fate_quiet_without_growth(fitted_path, tmp_path):
    out = tmp_path / "fates.h5ad"
    options = ("--n-trajectories", 5, "--no-growth", "--quiet")
    process = _run("fate", fitted_path, "--cell-key", "cell_type", "-o", out, *options)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    fates = ad.read_h5ad(out)
    earlier = (fates.obs["time"] < fates.obs["time"].max()).to_numpy()
    np.testing.assert_array_equal(fates.obsm["scdiffot_fate"].notna().all(axis=1), earlier)
    np.testing.assert_allclose(fates.obs["scdiffot_n_descendants"][earlier], 1)


def test_fate_suggests_a_column(fitted_path, tmp_path):
    process = _run("fate", fitted_path, "--cell-key", "cel_type", "-o", tmp_path / "o.h5ad")
    assert process.returncode == 2
    assert "Did you mean 'cell_type'" in process.stderr
    assert process.stderr.count("\n") == 1
    assert not (tmp_path / "o.h5ad").exists()


def test_automatic_times(path, tmp_path):
    """Automatic times give the same fit as explicit times."""
    fits = []
    for name, times in (("a", ("auto",)), ("b", TIME_MAP[1:])):
        out = tmp_path / f"{name}.h5ad"
        options = ["--time-map", *times, "--sigma", "0.3", "--n-steps", "20", "--quiet"]
        assert cli.main(["fit", "--time-key", "label", *options, str(path), "-o", str(out)]) == 0
        fits.append(ad.read_h5ad(out))
    automatic_fit, explicit_fit = fits
    np.testing.assert_array_equal(
        automatic_fit.obsm["scdiffot_velocity"], explicit_fit.obsm["scdiffot_velocity"]
    )
    assert automatic_fit.uns["scdiffot"]["params"]["times"].tolist() == [0, 1, 2]


@pytest.mark.slow
def test_demo(tmp_path):
    process = _run("demo", "--out", tmp_path / "deep" / "demo")
    assert process.returncode == 0, process.stderr
    out = tmp_path / "deep" / "demo"
    names = "ancestry fate growth history landscape population trajectories validation velocity"
    figures = {f"{name}.png" for name in names.split()}
    # every stage writes a line if progress bars cannot be shown
    stages = [
        line.split()[0] for line in process.stderr.splitlines() if not line.startswith("scdiffot")
    ]
    assert stages == ["Simulating", "Fitting", "Predicting", "Following", "Following", "Drawing"]
    assert {path.name for path in out.iterdir()} == figures | {"misa.h5ad", "accuracy.csv"}
    for text in (
        "W1 of the roll-out at",
        "mass error at",
        "W1 of the left-out",
        "drift: cosine",
        "growth: correlation",
        "descendants of the first cells: number",
    ):
        assert text in process.stdout
    with (out / "accuracy.csv").open() as file:
        rows = {row["quantity"]: row for row in csv.DictReader(file)}
    roll_out = [row for name, row in rows.items() if name.startswith("W1 of the roll-out")]
    assert len(roll_out) == 3
    # the width and the distance of snapshots are about 1
    assert all(float(row["scdiffot"]) < 0.3 for row in roll_out)
    assert float(rows["drift: cosine with the truth"]["scdiffot"]) > 0.7
    for name in ("X", "Y"):
        row = rows[f"descendants of the first cells: share of {name}"]
        assert abs(float(row["scdiffot"]) - float(row["reference_value"])) < 0.15
    fitted_adata = ad.read_h5ad(out / "misa.h5ad")
    assert {"validation", "state", "fate", "ancestry", "landscape"} <= set(
        fitted_adata.uns["scdiffot"]
    )
