"""Results, summaries and warnings of the commands."""

from __future__ import annotations

import runpy
import sys
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo
from scdiffot import cli
from scdiffot._utils.logging import logger
from scdiffot.cli._errors import bad_input, is_own
from scdiffot.cli._messages import show_warnings
from scdiffot.cli._signals import Signals

FATE = ("--cell-key", "cell_type", "--n-trajectories", "3")


@pytest.fixture
def path(fitted_adata, tmp_path):
    fitted_adata.write_h5ad(tmp_path / "fitted.h5ad")
    return tmp_path / "fitted.h5ad"


def run(*words):
    return cli.main([str(word) for word in words])


def test_fit_has_a_table_of_snapshots(time_course, tmp_path):
    time_course.write_h5ad(tmp_path / "cells.h5ad")
    out, table = tmp_path / "out.h5ad", tmp_path / "table.csv"
    options = (
        "--time-map",
        "day0=0,day1=1,day2=2",
        "--sigma",
        "0.3",
        "--n-steps",
        "20",
        "--validate",
        "--quiet",
    )
    assert (
        run(
            "fit",
            "--time-key",
            "label",
            *options,
            tmp_path / "cells.h5ad",
            "-o",
            out,
            "--table",
            table,
        )
        == 0
    )
    entry = ad.read_h5ad(out).uns["scdiffot"]
    # pandas 2 rounds when it parses numbers, so they are also read as text
    rows, texts = pd.read_csv(table), pd.read_csv(table, dtype=str)
    assert rows["label"].tolist() == ["day1", "day2"]
    assert rows["time"].tolist() == [1.0, 2.0]
    for name in ("w1", "w1_floor", "mass_error"):
        np.testing.assert_array_equal(texts[name].astype(float), entry["history"][name][1:])
    assert rows["left_out_w1"].isna().tolist() == [False, True]
    assert rows["left_out_w1"][0] == entry["validation"]["w1"].iloc[0]


def test_validate_writes_the_results_of_the_function(path, fitted_adata, tmp_path, capsys):
    out = tmp_path / "out.h5ad"
    assert run("validate", path, "-o", out, "--times", "7") == 2
    assert "`times` is '7', no label" in capsys.readouterr().err
    assert run("validate", path, "-o", out, "--rng", "2") == 0
    text = capsys.readouterr().out
    sdo.tl.validate(fitted_adata, rng=2, show_progress=False)
    expected = fitted_adata.uns["scdiffot"]["validation"]
    pd.testing.assert_frame_equal(
        ad.read_h5ad(out).uns["scdiffot"]["validation"], expected, check_names=False
    )
    assert f"{expected['w1'].iloc[0]:.3g}" in text


def test_interpolate_writes_the_result_of_the_function(path, fitted_adata, tmp_path, capsys):
    out = tmp_path / "out.h5ad"
    assert run("interpolate", path, "--time", "0.5", "--n-obs", "30", "--rng", "3", "-o", out) == 0
    assert "30 cells at 0.5" in capsys.readouterr().out
    virtual, expected = ad.read_h5ad(out), sdo.tl.interpolate(fitted_adata, 0.5, n_obs=30, rng=3)
    np.testing.assert_array_equal(virtual.obsm["X_pca"], expected.obsm["X_pca"])
    np.testing.assert_array_equal(virtual.obs["weight"], expected.obs["weight"])
    for time, message in (
        ("noon", "neither a number nor a label"),
        ("9", "the fit covers the times from 0 to 2"),
    ):
        assert run("interpolate", path, "--time", time, "-o", tmp_path / "other.h5ad") == 2
        assert message in capsys.readouterr().err
    # an interpolation must not replace the input, which has other cells
    assert run("interpolate", path, "--time", "1", "-o", path, "--overwrite") == 2
    assert "name another place" in capsys.readouterr().err


def test_response_writes_the_results_of_the_functions(tmp_path, capsys):
    adata = sdo.datasets.perturbation_response(400, n_dims=6)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    out, table = tmp_path / "out.zarr", tmp_path / "table.csv"
    options = (
        "--condition-key",
        "condition",
        "--control",
        "control",
        "--target",
        "drug",
        "--context",
        "donor",
    )
    fit_options = ("--n-steps", "20", "--rng", "1", "--use-rep", "X_pca")
    assert (
        run(
            "response", *options, tmp_path / "cells.h5ad", *fit_options, "-o", out, "--table", table
        )
        == 0
    )
    assert "Response to drug" in capsys.readouterr().out
    sdo.tl.fit_response(
        adata,
        "condition",
        "control",
        "drug",
        context="donor",
        config={"train": {"n_steps": 20}},
        rng=1,
        show_progress=False,
    )
    sdo.tl.predict_response(adata, target="drug")
    np.testing.assert_array_equal(
        ad.read_zarr(out).obsm["scdiffot_predicted"], adata.obsm["scdiffot_predicted"]
    )
    expected = sdo.get.response(adata)
    rows = pd.read_csv(table, dtype=str)
    assert rows["cell"].tolist() == expected["cell"].tolist()
    np.testing.assert_array_equal(rows["effect_size"].astype(float), expected["effect_size"])
    assert (
        run(
            "response",
            tmp_path / "cells.h5ad",
            *options,
            "--predict",
            "drog",
            *fit_options,
            "-o",
            tmp_path / "o.h5ad",
        )
        == 2
    )
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="a device that is always full")
def test_a_summary_that_cannot_be_printed(path, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out.h5ad"
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run("fate", path, "-o", out, *FATE) == 2
    assert "the summary is not: No space left on device" in capsys.readouterr().err
    assert "scdiffot_fate" in ad.read_h5ad(out).obsm


def test_a_closed_pipe_is_not_an_error(path, tmp_path, capsys, monkeypatch):
    import os

    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert run("fate", path, "-o", tmp_path / "out.h5ad", *FATE) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform != "linux", reason="files grow without a limit elsewhere")
@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_a_file_size_limit_loses_nothing(path, tmp_path, capsys, suffix):
    """A limit of the file size makes writes fail, as on a full disk."""
    import resource

    out = tmp_path / f"out{suffix}"
    content = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = len(content)
    for limit in (0, 1000, 70_000, largest // 2, largest - 5000):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            code = run(
                "fate", path, "-o", out if limit % 2 else path, *FATE, "--overwrite", "--quiet"
            )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        error = capsys.readouterr().err
        if code == 0:
            assert suffix == ".zarr"
            continue
        assert code == 2
        assert error.count("\n") == 1
        assert "File too large" in error
        assert path.read_bytes() == content
        assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that nobody may write")
def test_read_only_folder(path, capsys):
    assert run("fate", path, "-o", "/proc/out.h5ad", *FATE) == 2
    error = capsys.readouterr().err
    assert "the folder /proc of --out cannot be written" in error
    assert error.count("\n") == 1


def test_demo_replaces_no_files(tmp_path, capsys):
    (tmp_path / "fate.png").write_text("precious")
    assert run("demo", "--out", tmp_path) == 2
    assert (
        "fate.png exists: name another folder with --out, or pass --overwrite"
        in capsys.readouterr().err
    )
    assert (tmp_path / "fate.png").read_text() == "precious"


def test_module_runs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["scdiffot", "--version"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("scdiffot", run_name="__main__")
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("scdiffot ")


def test_warnings_are_one_line_each(capsys):
    with Signals() as signals, show_warnings("fit", signals):
        logger.warning("masses of %d\nlibraries", 3)
        logger.info("not this")
        warnings.simplefilter("always", UserWarning)
        warnings.warn("names are not unique", UserWarning, stacklevel=1)
        warnings.warn("this will change", FutureWarning, stacklevel=1)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "scdiffot fit: warning: masses of 3 libraries",
        "scdiffot fit: warning: names are not unique",
    ]
    assert not logger.handlers


def error_of(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001 any
        return error
    raise AssertionError("no error")


def test_bugs_keep_their_traceback(fitted_adata):
    own_error = error_of(lambda: sdo.tl.validate(fitted_adata, times=7))
    assert is_own(own_error)
    # errors raised by NumPy, and by the interpreter in scdiffot
    numpy_error = error_of(lambda: np.zeros(2) + np.zeros(3))
    interpreter_error = error_of(lambda: sdo.core.snapshots.Snapshots(None, None, None))
    assert not is_own(numpy_error)
    assert not is_own(interpreter_error)
    with pytest.raises(type(interpreter_error)), bad_input():
        raise interpreter_error
    with pytest.raises(cli.BadInput, match="no time of obs"), bad_input():
        sdo.tl.validate(fitted_adata, times=7)
