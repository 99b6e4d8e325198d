"""Input and output files of the commands: nothing is lost, and no output is incomplete."""

from __future__ import annotations

import json
import os

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo
from scdiffot import cli
from scdiffot._data.files.formats import read_cells, write_cells

FATE = ("--cell-key", "cell_type", "--n-trajectories", "3", "--quiet")


@pytest.fixture
def path(fitted_adata, tmp_path):
    fitted_adata.write_h5ad(tmp_path / "fitted.h5ad")
    return tmp_path / "fitted.h5ad"


def run(*words):
    """Return the exit code, also of argparse."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


def refusal(capsys, *words):
    """Return the single line on the standard error of a command that fails."""
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def contents(folder):
    """Return the names and bytes of all files in a folder."""
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
    previous = contents(path.parent)
    assert "which is the input: name another, or pass --overwrite" in refusal(
        capsys, "fate", path, "-o", out, *FATE
    )
    assert contents(path.parent) == previous
    assert run("fate", path, "-o", out, *FATE, "--overwrite") == 0
    assert has_fates(out)
    # the other name of a hard link keeps the old data
    assert has_fates(path) == (name is not _hard_link)
    assert set(contents(path.parent)) == set(previous)
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


def test_link_to_a_missing_file_is_kept(path, tmp_path):
    (tmp_path / "store").mkdir()
    link = tmp_path / "out.h5ad"
    link.symlink_to(tmp_path / "store" / "data.h5ad")
    assert run("fate", path, "-o", link, *FATE) == 0
    assert link.is_symlink()
    assert has_fates(tmp_path / "store" / "data.h5ad")


def test_destinations_that_cannot_be_written(path, tmp_path, capsys):
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
    previous = contents(tmp_path / "notes.zarr")
    for name, message in cases.items():
        assert message in refusal(capsys, "fate", path, "-o", tmp_path / name, *FATE, "--overwrite")
    assert contents(tmp_path / "notes.zarr") == previous
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
    content = path.read_bytes()
    (tmp_path / "half.h5ad").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.h5ad").write_text("no HDF5")
    (tmp_path / "empty.h5ad").write_bytes(b"")
    (tmp_path / "folder.h5ad").mkdir()
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "cells.txt").write_bytes(content)
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


def test_entries_that_cannot_be_written_are_reported_before_the_computation(
    path, tmp_path, capsys, monkeypatch
):
    h5py = pytest.importorskip("h5py")
    # an HDF5 object reference is invalid outside its file
    with h5py.File(path, "r+") as file:
        file["uns"].create_dataset("place", data=file["X"].ref, dtype=h5py.ref_dtype)
    calls = []
    monkeypatch.setattr(sdo.tl, "sta_forward", lambda *a, **k: calls.append(a))
    line = refusal(capsys, "fate", path, "-o", tmp_path / "out.h5ad", *FATE)
    assert "out.h5ad cannot be written" in line
    assert "'place'" in line
    assert not calls
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_entries_that_anndata_writes_only_on_request(fitted_adata, tmp_path):
    notes = pd.array([None, *map(str, range(1, fitted_adata.n_obs))], dtype="string")
    fitted_adata.obsm["notes"] = pd.DataFrame({"note": notes}, index=fitted_adata.obs_names)
    with ad.settings.override(allow_write_nullable_strings=True):
        fitted_adata.write_h5ad(tmp_path / "cells.h5ad")
    assert run("fate", tmp_path / "cells.h5ad", "-o", tmp_path / "out.h5ad", *FATE) == 0
    saved_table = ad.read_h5ad(tmp_path / "out.h5ad").obsm["notes"]["note"]
    assert saved_table.isna().tolist() == [True] + [False] * (fitted_adata.n_obs - 1)


def test_zarr_in_and_out(path, fitted_adata, tmp_path, capsys):
    out = tmp_path / "out.zarr"
    assert run("fate", path, "-o", out, *FATE) == 0
    from_h5ad = ad.read_zarr(out)
    assert "which is the input" in refusal(capsys, "fate", out, "-o", out, *FATE)
    previous = set(tmp_path.iterdir())
    assert run("fate", out, "-o", out, *FATE, "--overwrite", "--rng", "1") == 0
    updated_data = ad.read_zarr(out)
    assert set(tmp_path.iterdir()) == previous
    np.testing.assert_array_equal(updated_data.X, fitted_adata.X)
    assert not np.array_equal(
        updated_data.obsm["scdiffot_fate"], from_h5ad.obsm["scdiffot_fate"], equal_nan=True
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
    # a MuData with the suffix of an AnnData would lose its modalities
    (tmp_path / "cells.h5mu").rename(tmp_path / "cells.h5ad")
    line = refusal(
        capsys, "fate", tmp_path / "cells.h5ad", "-o", tmp_path / "cells.h5ad", *FATE, "--overwrite"
    )
    assert "holds a MuData" in line


def test_an_output_that_appears_during_the_command_is_kept(path, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out.h5ad"
    follow = sdo.tl.sta_forward

    def slow(*args, **options):
        out.write_text("precious")
        return follow(*args, **options)

    monkeypatch.setattr(sdo.tl, "sta_forward", slow)
    line = refusal(capsys, "fate", path, "-o", out, *FATE)
    assert out.read_text() == "precious"
    (temporary,) = tmp_path.glob(".scdiffot-*.tmp")
    assert f"has appeared meanwhile and is left alone: the result is in {temporary}" in line
    assert has_fates(temporary)


def test_table_equals_the_results_of_the_functions(path, fitted_adata, tmp_path):
    out, table = tmp_path / "out.h5ad", tmp_path / "out.json"
    assert run("fate", path, "-o", out, "--table", table, *FATE) == 0
    expected = sdo.get.fate(ad.read_h5ad(out))
    rows = json.loads(table.read_text())
    assert [row["cell"] for row in rows] == expected["cell"].tolist()
    np.testing.assert_array_equal([row["share"] for row in rows], expected["share"])
    csv = tmp_path / "out.csv"
    assert run("validate", path, "-o", tmp_path / "v.h5ad", "--table", csv, "--quiet") == 0
    validation = ad.read_h5ad(tmp_path / "v.h5ad").uns["scdiffot"]["validation"]
    # pandas 2 rounds when it parses numbers, so they are read as text
    saved_table = pd.read_csv(csv, index_col="label", dtype=str).astype(float)
    np.testing.assert_array_equal(
        saved_table.to_numpy(), validation[saved_table.columns].to_numpy()
    )
