"""The command line, as a user meets it: in a process of its own."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import anndata as ad
import numpy as np
import pytest

from scdiffot import cli

TIME_MAP = ("--time-map", "day0=0", "day1=1", "day2=2")


def _run(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-c", "import sys; from scdiffot.cli import main; sys.exit(main())", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


@pytest.fixture
def path(course, tmp_path):
    course.write_h5ad(tmp_path / "course.h5ad")
    return tmp_path / "course.h5ad"


@pytest.mark.parametrize("command", [[], ["demo"], ["fit"]])
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


def test_help_loads_nothing_heavy():
    code = "import sys; from scdiffot.cli import _parser; _parser().format_help(); print('numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_fit_writes_what_the_function_writes(path, course, tmp_path, quick):
    import scdiffot as sdo

    out = tmp_path / "fitted.h5ad"
    options = ("--use-rep", "pca", "--n-dims", 2, "--sigma", 0.3, "--n-steps", 30, "--rng", 4, "--key-added", "run")
    found = _run("fit", path, "-o", out, "--time-key", "label", *TIME_MAP, *options, "--autonomous", "--no-growth")
    assert found.returncode == 0, found.stderr
    assert "W1 of the roll-out at 2" in found.stdout
    assert found.stderr == ""
    sdo.tl.fit(
        course,
        "label",
        time_map={"day0": 0, "day1": 1, "day2": 2},
        use_rep="pca",
        n_dims=2,
        sigma=0.3,
        n_steps=30,
        rng=4,
        key_added="run",
        autonomous=True,
        growth=False,
        show_progress=False,
    )
    fitted = ad.read_h5ad(out)
    np.testing.assert_array_equal(fitted.obsm["run_velocity"], course.obsm["run_velocity"])
    assert "validation" not in fitted.uns["run"]


def test_fit_quiet_and_validated(path, tmp_path):
    out = tmp_path / "fitted.h5ad"
    options = ("--sigma", 0.3, "--n-steps", 20, "--mass", "equal", "--validate", "--quiet")
    found = _run("fit", path, "--time-key", "time", "-o", out, *options)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    assert ad.read_h5ad(out).uns["scdiffot"]["validation"]["time"].tolist() == [1.0]


BAD = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "unknown command": (["fly"], "invalid choice"),
    "no file": (["fit", "{tmp}/none.h5ad", "-o", "{tmp}/o.h5ad", "--time-key", "time"], "none.h5ad is no file"),
    "no time key": (["fit", "{path}", "-o", "{tmp}/o.h5ad"], "required: --time-key"),
    "wrong key": (["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "tim"], "Did you mean 'time'?"),
    "no map": (["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "label"], "pass `time_map`"),
    "bad map": (["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "label", "--time-map", "x"], "not LABEL=TIME"),
    "bad sigma": (["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "time", "--sigma", "x"], "neither a number"),
    "negative sigma": (["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "time", "--sigma=-1"], "`sigma` is -1.0"),
    "no folder": (["fit", "{path}", "-o", "{tmp}/no/o.h5ad", "--time-key", "time"], "does not exist"),
    "suffix": (["fit", "{path}", "-o", "{tmp}/o.txt", "--time-key", "time"], "name a file that ends with .h5ad"),
    "not h5ad": (["fit", "{tmp}/text.h5ad", "-o", "{tmp}/o.h5ad", "--time-key", "time"], "cannot be read as .h5ad"),
    "demo in a file": (["demo", "--out", "{path}"], "where no folder can be made"),
    "demo seed": (["demo", "--out", "{tmp}", "--rng", "-1"], "--rng is -1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, path, tmp_path, capsys):
    (tmp_path / "text.h5ad").write_text("no HDF5")
    arguments, message = BAD[case]
    before = sorted(tmp_path.iterdir())
    try:
        code = cli.main([a.format(path=path, tmp=tmp_path) for a in arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("scdiffot")
    assert message in captured.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_demo(tmp_path):
    found = _run("demo", "--out", tmp_path / "deep" / "demo")
    assert found.returncode == 0, found.stderr
    out = tmp_path / "deep" / "demo"
    figures = {f"{name}.png" for name in ("growth", "history", "population", "trajectories", "validation", "velocity")}
    assert {path.name for path in out.iterdir()} == figures | {"misa.h5ad", "accuracy.csv"}
    for text in (
        "W1 of the roll-out at",
        "mass error at",
        "W1 of the left-out",
        "drift: cosine",
        "growth: correlation",
    ):
        assert text in found.stdout
    with (out / "accuracy.csv").open() as file:
        rows = {row["quantity"]: row for row in csv.DictReader(file)}
    roll_out = [row for name, row in rows.items() if name.startswith("W1 of the roll-out")]
    assert len(roll_out) == 3
    # snapshots are about one unit wide and one unit apart
    assert all(float(row["scdiffot"]) < 0.3 for row in roll_out)
    assert float(rows["drift: cosine with the truth"]["scdiffot"]) > 0.7
    fitted = ad.read_h5ad(out / "misa.h5ad")
    assert {"validation", "state"} <= set(fitted.uns["scdiffot"])
