"""Files in and out of the commands: nothing that existed is lost, nothing half stands under a final name."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo
from scdiffot import cli
from scdiffot._data.files.formats import read_cells, write_cells

FATE = ("--cell-key", "cell_type", "--n-trajectories", "3", "--quiet")


@pytest.fixture
def path(fitted, tmp_path):
    fitted.write_h5ad(tmp_path / "fitted.h5ad")
    return tmp_path / "fitted.h5ad"


def run(*words):
    """The exit code; argparse ends a process by itself."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


def refusal(capsys, *words):
    """The one line of a command that refuses."""
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def contents(folder):
    """The names and bytes of all files below a folder."""
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def has_fates(path):
    return "scdiffot_fate" in ad.read_h5ad(path).obsm


def _same(path):
    return path


def _symlink(path):
    link = path.with_name("link.h5ad")
    link.symlink_to(path)
    return link


def _hard_link(path):
    link = path.with_name("hard.h5ad")
    os.link(path, link)
    return link


def _detour(path):
    return path.parent / ".." / path.parent.name / path.name


@pytest.mark.parametrize("name", [_same, _symlink, _hard_link, _detour])
def test_output_is_the_input(path, capsys, name):
    out = name(path)
    before = contents(path.parent)
    assert "which is the input: name another, or pass --overwrite" in refusal(
        capsys, "fate", path, "-o", out, *FATE
    )
    assert contents(path.parent) == before
    assert run("fate", path, "-o", out, *FATE, "--overwrite") == 0
    assert has_fates(out)
    # the other name of a hard link still has the old data
    assert has_fates(path) == (name is not _hard_link)
    assert set(contents(path.parent)) == set(before)
    assert out.is_symlink() == (name is _symlink)


def test_existing_output(path, tmp_path, capsys):
    out, table = tmp_path / "out.h5ad", tmp_path / "out.csv"
    out.write_text("precious")
    assert "out.h5ad, which exists" in refusal(capsys, "fate", path, "-o", out, *FATE)
    out.unlink()
    table.write_text("precious")
    assert "out.csv, which exists" in refusal(
        capsys, "fate", path, "-o", out, "--table", table, *FATE
    )
    assert table.read_text() == "precious"
    os.chmod(table, 0o640)
    assert run("fate", path, "-o", out, "--table", table, *FATE, "--overwrite") == 0
    assert has_fates(out)
    assert table.read_text().startswith("cell,fate,share,se,n_descendants\n")
    assert table.stat().st_mode & 0o777 == 0o640


def test_link_to_a_place_that_is_empty(path, tmp_path):
    (tmp_path / "store").mkdir()
    link = tmp_path / "out.h5ad"
    link.symlink_to(tmp_path / "store" / "data.h5ad")
    assert run("fate", path, "-o", link, *FATE) == 0
    assert link.is_symlink()
    assert has_fates(tmp_path / "store" / "data.h5ad")


def test_places_where_nothing_can_be_written(path, tmp_path, capsys):
    (tmp_path / "folder.h5ad").mkdir()
    (tmp_path / "file.zarr").write_text("text")
    (tmp_path / "notes.zarr").mkdir()
    (tmp_path / "notes.zarr" / "notes.txt").write_text("precious")
    (tmp_path / "loop.h5ad").symlink_to(tmp_path / "loop.h5ad")
    os.mkfifo(tmp_path / "pipe.h5ad")
    cases = {
        "none/out.h5ad": "none of --out does not exist",
        "fitted.h5ad/out.h5ad": "name another",
        "folder.h5ad": "is a folder",
        "file.zarr": "is a file",
        "notes.zarr": "is a folder of something else",
        "loop.h5ad": "loop",
        "pipe.h5ad": "neither a file nor a folder",
        "x" * 300 + ".h5ad": "File name too long",
        "out.txt": "name a file that ends with .h5ad, .zarr or .h5mu",
        "out.h5mu": "an AnnData cannot be written as .h5mu",
    }
    before = contents(tmp_path / "notes.zarr")
    for name, message in cases.items():
        assert message in refusal(capsys, "fate", path, "-o", tmp_path / name, *FATE, "--overwrite")
    assert contents(tmp_path / "notes.zarr") == before
    line = refusal(
        capsys, "fate", path, "-o", tmp_path / "out.h5ad", *FATE, "--table", tmp_path / "t.xlsx"
    )
    assert "--table is" in line
    assert ".csv or .json" in line
    link = tmp_path / "table.csv"
    link.symlink_to(path)
    line = refusal(
        capsys, "fate", path, "-o", tmp_path / "out.h5ad", *FATE, "--table", link, "--overwrite"
    )
    assert "table.csv, which is" in line
    assert not list(tmp_path.rglob(".scdiffot-*"))


def test_inputs_that_cannot_be_read(path, tmp_path, capsys):
    whole = path.read_bytes()
    (tmp_path / "half.h5ad").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.h5ad").write_text("no HDF5")
    (tmp_path / "empty.h5ad").write_bytes(b"")
    (tmp_path / "folder.h5ad").mkdir()
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "cells.txt").write_bytes(whole)
    (tmp_path / "text.h5mu").write_text("no HDF5")
    _without_obs(path, tmp_path / "bare.h5ad")
    cases = {
        "half.h5ad": "cannot be read as .h5ad",
        "text.h5ad": "cannot be read as .h5ad",
        "empty.h5ad": "cannot be read as .h5ad",
        "bare.h5ad": "cannot be read as .h5ad",
        "folder.h5ad": "is a folder",
        "empty.zarr": "cannot be read as .zarr",
        "text.h5mu": "cannot be read as .h5mu",
        "cells.txt": "must end with .h5ad, .zarr or .h5mu",
        "absent.h5ad": "is no file",
    }
    for name, message in cases.items():
        assert message in refusal(
            capsys, "fate", tmp_path / name, "-o", tmp_path / "out.h5ad", *FATE
        )
    assert not (tmp_path / "out.h5ad").exists()


def _without_obs(path, target):
    h5py = pytest.importorskip("h5py")
    target.write_bytes(path.read_bytes())
    with h5py.File(target, "r+") as file:
        del file["obs/_index"]


def test_entries_that_cannot_be_written_show_before_the_work(path, tmp_path, capsys, monkeypatch):
    h5py = pytest.importorskip("h5py")
    # a reference to another place in the file, which means nothing outside of it
    with h5py.File(path, "r+") as file:
        file["uns"].create_dataset("place", data=file["X"].ref, dtype=h5py.ref_dtype)
    calls = []
    monkeypatch.setattr(sdo.tl, "sta_forward", lambda *a, **k: calls.append(a))
    line = refusal(capsys, "fate", path, "-o", tmp_path / "out.h5ad", *FATE)
    assert "out.h5ad cannot be written" in line
    assert "'place'" in line
    assert not calls
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_entries_that_anndata_writes_on_request_only(fitted, tmp_path):
    notes = pd.array([None, *map(str, range(1, fitted.n_obs))], dtype="string")
    fitted.obsm["notes"] = pd.DataFrame({"note": notes}, index=fitted.obs_names)
    with ad.settings.override(allow_write_nullable_strings=True):
        fitted.write_h5ad(tmp_path / "cells.h5ad")
    assert run("fate", tmp_path / "cells.h5ad", "-o", tmp_path / "out.h5ad", *FATE) == 0
    saved = ad.read_h5ad(tmp_path / "out.h5ad").obsm["notes"]["note"]
    assert saved.isna().tolist() == [True] + [False] * (fitted.n_obs - 1)


def test_zarr_in_and_out(path, fitted, tmp_path, capsys):
    out = tmp_path / "out.zarr"
    assert run("fate", path, "-o", out, *FATE) == 0
    from_h5ad = ad.read_zarr(out)
    assert "which is the input" in refusal(capsys, "fate", out, "-o", out, *FATE)
    # onto itself
    before = set(tmp_path.iterdir())
    assert run("fate", out, "-o", out, *FATE, "--overwrite", "--rng", "1") == 0
    again = ad.read_zarr(out)
    assert set(tmp_path.iterdir()) == before
    np.testing.assert_array_equal(again.X, fitted.X)
    assert not np.array_equal(
        again.obsm["scdiffot_fate"], from_h5ad.obsm["scdiffot_fate"], equal_nan=True
    )


def test_mudata_in_and_out(mdata, quick, tmp_path, capsys):
    for name in ("time", "cell_type"):
        mdata.obs[name] = mdata["rna"].obs[name]
    sdo.tl.fit(mdata, "time", use_rep="rna:X_pca", **quick)
    write_cells(mdata, tmp_path / "cells.h5mu", ".h5mu")
    line = refusal(capsys, "fate", tmp_path / "cells.h5mu", "-o", tmp_path / "out.h5ad", *FATE)
    assert "a MuData cannot be written as .h5ad: choose .h5mu or .zarr" in line
    assert run("fate", tmp_path / "cells.h5mu", "-o", tmp_path / "out.zarr", *FATE) == 0
    assert run("fate", tmp_path / "out.zarr", "-o", tmp_path / "out.h5mu", *FATE) == 0
    first, second = read_cells(tmp_path / "out.zarr"), read_cells(tmp_path / "out.h5mu")
    assert list(second.mod) == ["rna", "atac"]
    pd.testing.assert_frame_equal(first.obsm["scdiffot_fate"], second.obsm["scdiffot_fate"])
    np.testing.assert_array_equal(second["rna"].X, mdata["rna"].X)
    # a MuData under the name of an AnnData would lose its modalities
    (tmp_path / "cells.h5mu").rename(tmp_path / "cells.h5ad")
    line = refusal(
        capsys, "fate", tmp_path / "cells.h5ad", "-o", tmp_path / "cells.h5ad", *FATE, "--overwrite"
    )
    assert "holds a MuData" in line


def test_an_output_that_appears_meanwhile_is_left_alone(path, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out.h5ad"
    follow = sdo.tl.sta_forward

    def slow(*args, **options):
        out.write_text("precious")
        return follow(*args, **options)

    monkeypatch.setattr(sdo.tl, "sta_forward", slow)
    line = refusal(capsys, "fate", path, "-o", out, *FATE)
    assert out.read_text() == "precious"
    (rest,) = tmp_path.glob(".scdiffot-*.tmp")
    assert f"has appeared meanwhile and is left alone: the result is in {rest}" in line
    assert has_fates(rest)


@pytest.fixture
def default_signals():
    """What a terminal gives a command; a job in the background ignores interrupts."""
    defaults = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_signals_leave_what_was_there(path, tmp_path, capsys, monkeypatch, number, code, overwrite):
    """While the result is being written: after that it is complete, and before there is none."""
    out = path if overwrite else tmp_path / "out.h5ad"
    before = contents(tmp_path)
    handler = signal.getsignal(number)
    write = ad.io.write_elem

    def interrupted(file, name, value):
        write(file, name, value)
        if "scdiffot_fate" in getattr(value, "obsm", ()):
            assert list(tmp_path.glob(".scdiffot-*"))
            os.kill(os.getpid(), number)

    monkeypatch.setattr(ad.io, "write_elem", interrupted)
    assert run("fate", path, "-o", out, *FATE, *(["--overwrite"] if overwrite else [])) == code
    captured = capsys.readouterr()
    assert "nothing is written" in captured.err
    assert captured.err.count("\n") == 1
    assert contents(tmp_path) == before
    assert signal.getsignal(number) is handler


FIT = ("--time-key", "time", "--sigma", "0.3", "--n-steps", "40", "--quiet")


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("keep", [True, False])
def test_interrupted_fit(course, tmp_path, capsys, monkeypatch, keep):
    """The fit catches Ctrl-C to keep its best state; the command writes that only if asked to."""
    from scdiffot.tl._time_course import fit as _fit

    @contextmanager
    def interrupting_bar(*args, **options):
        def callback(progress):
            if progress.step == 25:
                os.kill(os.getpid(), signal.SIGINT)

        yield callback

    monkeypatch.setattr(_fit, "progress_bar", interrupting_bar)
    course.write_h5ad(tmp_path / "cells.h5ad")
    out = tmp_path / "out.h5ad"
    options = ("--validate", "--keep-interrupted") if keep else ()
    assert run("fit", tmp_path / "cells.h5ad", "-o", out, *FIT, *options) == 130
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert out.exists() == keep
    if keep:
        assert f"the best state so far is in {out}" in error
        history = ad.read_h5ad(out).uns["scdiffot"]["history"]
        assert history["interrupted"]
        assert history["step"][-1] < 40
    else:
        assert "interrupted, and nothing is written" in error
        assert [p.name for p in tmp_path.iterdir()] == ["cells.h5ad"]


def test_table_has_what_the_functions_return(path, fitted, tmp_path):
    out, table = tmp_path / "out.h5ad", tmp_path / "out.json"
    assert run("fate", path, "-o", out, "--table", table, *FATE) == 0
    expected = sdo.get.fate(ad.read_h5ad(out))
    rows = json.loads(table.read_text())
    assert [row["cell"] for row in rows] == expected["cell"].tolist()
    np.testing.assert_array_equal([row["share"] for row in rows], expected["share"])
    csv = tmp_path / "out.csv"
    assert run("validate", path, "-o", tmp_path / "v.h5ad", "--table", csv, "--quiet") == 0
    validation = ad.read_h5ad(tmp_path / "v.h5ad").uns["scdiffot"]["validation"]
    # as text first: the reader of numbers of pandas 2 rounds
    saved = pd.read_csv(csv, index_col="label", dtype=str).astype(float)
    np.testing.assert_array_equal(saved.to_numpy(), validation[saved.columns].to_numpy())
