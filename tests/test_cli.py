"""The command line, as a user meets it: in a process of its own."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import anndata as ad
import numpy as np
import pytest
import torch

from scdiffot import cli

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
def path(course, tmp_path):
    course.write_h5ad(tmp_path / "course.h5ad")
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


def test_help_loads_nothing_heavy():
    code = "import sys; from scdiffot.cli import _parser; _parser().format_help(); print('numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_fit_writes_what_the_function_writes(path, course, tmp_path, quick):
    import scdiffot as sdo

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
    found = _run(
        "fit",
        path,
        "-o",
        out,
        "--time-key",
        "label",
        *TIME_MAP,
        *options,
        "--autonomous",
        "--no-growth",
    )
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


def test_fit_in_a_tissue(tmp_path):
    import scdiffot as sdo

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
    found = _run(
        "fit", tmp_path / "slices.h5ad", "--time-key", "time", "-o", out, *options, "--quiet"
    )
    assert found.returncode == 0
    # few spots are unevenly spaced
    assert all(
        line.startswith("scdiffot fit: warning: Spots of slice")
        for line in found.stderr.splitlines()
    )
    fitted = ad.read_h5ad(out)
    assert fitted.obsm["scdiffot_migration"].shape == (fitted.n_obs, 2)
    assert "scdiffot_aligned" not in fitted.obsm


@pytest.fixture
def fitted_path(fitted, tmp_path):
    fitted.write_h5ad(tmp_path / "fitted.h5ad")
    return tmp_path / "fitted.h5ad"


def test_fate_writes_what_the_function_writes(fitted_path, fitted, tmp_path):
    import scdiffot as sdo

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
    found = _run("fate", fitted_path, "-o", out, "--cell-key", "cell_type", *options)
    assert (found.returncode, found.stderr) == (0, "")
    sdo.tl.sta_forward(
        fitted,
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
        np.testing.assert_array_equal(fates.obsm[name], fitted.obsm[name])
    np.testing.assert_array_equal(
        fates.obs["scdiffot_n_descendants"], fitted.obs["scdiffot_n_descendants"]
    )
    # a line for every type, with the largest fates
    followed = fitted.obs["time"] < 2
    for name in ("A", "B"):
        members = followed & (fitted.obs["cell_type"] == name)
        means = fitted.obsm["scdiffot_fate"][members].mean()
        (line,) = [text for text in found.stdout.splitlines() if text.startswith(f"│ {name} ")]
        assert f" {members.sum()} " in line
        assert f"{means.idxmax()} {means.max():.2f}" in line


def test_fate_quiet_without_growth(fitted_path, tmp_path):
    out = tmp_path / "fates.h5ad"
    options = ("--n-trajectories", 5, "--no-growth", "--quiet")
    found = _run("fate", fitted_path, "--cell-key", "cell_type", "-o", out, *options)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    fates = ad.read_h5ad(out)
    earlier = (fates.obs["time"] < fates.obs["time"].max()).to_numpy()
    np.testing.assert_array_equal(fates.obsm["scdiffot_fate"].notna().all(axis=1), earlier)
    np.testing.assert_allclose(fates.obs["scdiffot_n_descendants"][earlier], 1)


def test_fate_says_what_is_wrong(fitted_path, tmp_path):
    found = _run("fate", fitted_path, "--cell-key", "cel_type", "-o", tmp_path / "o.h5ad")
    assert found.returncode == 2
    assert "Did you mean 'cell_type'" in found.stderr
    assert found.stderr.count("\n") == 1
    assert not (tmp_path / "o.h5ad").exists()


RESPONSE = ("--condition-key", "condition", "--control", "control", "--target", "drug")
BAD = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "unknown command": (["fly"], "invalid choice"),
    "no file": (
        ["fit", "{tmp}/none.h5ad", "-o", "{tmp}/o.h5ad", "--time-key", "time"],
        "none.h5ad is no file",
    ),
    "no time key": (["fit", "{path}", "-o", "{tmp}/o.h5ad"], "required: --time-key"),
    "wrong key": (
        ["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "tim"],
        "Did you mean 'time'?",
    ),
    "no map": (["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "label"], "pass `time_map`"),
    "bad map": (
        ["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "label", "--time-map", "x"],
        "neither LABEL=TIME",
    ),
    "two maps": (
        [
            "fit",
            "{path}",
            "-o",
            "{tmp}/o.h5ad",
            "--time-key",
            "label",
            "--time-map",
            "auto",
            "day0=0",
        ],
        "pass 'auto' alone",
    ),
    "auto map": (
        ["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "cell_type", "--time-map", "auto"],
        "`time_map` 'auto' cannot read",
    ),
    # where there is a GPU there are not a hundred; the file is not even opened
    "no GPU": (
        [
            "fit",
            "{tmp}/text.h5ad",
            "-o",
            "{tmp}/o.h5ad",
            "--time-key",
            "time",
            "--device",
            "cuda:99",
        ],
        "torch sees",
    ),
    "no device": (
        ["fit", "{tmp}/text.h5ad", "-o", "{tmp}/o.h5ad", "--time-key", "time", "--device", "tpu"],
        "`device` is",
    ),
    "no GPU for responses": (
        ["response", "{tmp}/text.h5ad", "-o", "{tmp}/o.h5ad", *RESPONSE, "--device", "cuda:99"],
        "torch sees",
    ),
    "bad sigma": (
        ["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "time", "--sigma", "x"],
        "neither a number",
    ),
    "negative sigma": (
        ["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "time", "--sigma=-1"],
        "`sigma` is -1.0",
    ),
    "no folder": (
        ["fit", "{path}", "-o", "{tmp}/no/o.h5ad", "--time-key", "time"],
        "does not exist",
    ),
    "suffix": (
        ["fit", "{path}", "-o", "{tmp}/o.txt", "--time-key", "time"],
        "name a file that ends with .h5ad",
    ),
    "not h5ad": (
        ["fit", "{tmp}/text.h5ad", "-o", "{tmp}/o.h5ad", "--time-key", "time"],
        "cannot be read as .h5ad",
    ),
    "no fit": (
        ["fate", "{path}", "-o", "{tmp}/o.h5ad", "--cell-key", "cell_type"],
        "run scdiffot.tl.fit",
    ),
    "no cell key": (["fate", "{path}", "-o", "{tmp}/o.h5ad"], "required: --cell-key"),
    "fate of no file": (
        ["fate", "{tmp}/none.h5ad", "-o", "{tmp}/o.h5ad", "--cell-key", "x"],
        "none.h5ad is no file",
    ),
    "fate seed": (
        ["fate", "{path}", "-o", "{tmp}/o.h5ad", "--cell-key", "x", "--rng", "-1"],
        "'-1' is no seed",
    ),
    "demo in a file": (["demo", "--out", "{path}"], "where no folder can be made"),
    "demo seed": (["demo", "--out", "{tmp}", "--rng", "-1"], "'-1' is no seed"),
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(path, tmp_path, capsys):
    out = tmp_path / "o.h5ad"
    assert (
        cli.main(["fit", str(path), "-o", str(out), "--time-key", "time", "--device", "cuda"]) == 2
    )
    error = capsys.readouterr().err
    assert error == (
        "scdiffot fit: error: `device` is 'cuda', but torch sees 0 GPUs: pass 'auto', 'cpu', or 'cuda' where there is a GPU.\n"
    )
    assert not out.exists()


def test_automatic_times(path, tmp_path):
    """The same fit as with the time of every label."""
    fits = []
    for name, times in (("a", ("auto",)), ("b", TIME_MAP[1:])):
        out = tmp_path / f"{name}.h5ad"
        options = ["--time-map", *times, "--sigma", "0.3", "--n-steps", "20", "--quiet"]
        assert cli.main(["fit", "--time-key", "label", *options, str(path), "-o", str(out)]) == 0
        fits.append(ad.read_h5ad(out))
    one, two = fits
    np.testing.assert_array_equal(one.obsm["scdiffot_velocity"], two.obsm["scdiffot_velocity"])
    assert one.uns["scdiffot"]["params"]["times"].tolist() == [0, 1, 2]


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
    names = "ancestry fate growth history landscape population trajectories validation velocity"
    figures = {f"{name}.png" for name in names.split()}
    # a line for every stage, where no bar can be drawn
    stages = [
        line.split()[0] for line in found.stderr.splitlines() if not line.startswith("scdiffot")
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
        assert text in found.stdout
    with (out / "accuracy.csv").open() as file:
        rows = {row["quantity"]: row for row in csv.DictReader(file)}
    roll_out = [row for name, row in rows.items() if name.startswith("W1 of the roll-out")]
    assert len(roll_out) == 3
    # snapshots are about one unit wide and one unit apart
    assert all(float(row["scdiffot"]) < 0.3 for row in roll_out)
    assert float(rows["drift: cosine with the truth"]["scdiffot"]) > 0.7
    for name in ("X", "Y"):
        row = rows[f"descendants of the first cells: share of {name}"]
        assert abs(float(row["scdiffot"]) - float(row["reference_value"])) < 0.15
    fitted = ad.read_h5ad(out / "misa.h5ad")
    assert {"validation", "state", "fate", "ancestry", "landscape"} <= set(fitted.uns["scdiffot"])
