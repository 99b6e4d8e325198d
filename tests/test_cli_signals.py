"""Commands that are interrupted or terminated leave no incomplete files."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

import anndata as ad
import pytest

from scdiffot import cli

FATE = ("--cell-key", "cell_type", "--n-trajectories", "3", "--quiet")


@pytest.fixture
def path(fitted_adata, tmp_path):
    fitted_adata.write_h5ad(tmp_path / "fitted.h5ad")
    return tmp_path / "fitted.h5ad"


def run(*words):
    """Return the exit code."""
    return cli.main([str(word) for word in words])


def contents(folder):
    """Return the names and bytes of all files in a folder."""
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def default_signals():
    """Signal handlers of a command in a terminal; a background job ignores interrupts."""
    defaults = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    previous = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_signals_leave_all_files_unchanged(
    path, tmp_path, capsys, monkeypatch, number, code, overwrite
):
    """A signal while the result is written leaves all files as they were."""
    out = path if overwrite else tmp_path / "out.h5ad"
    previous = contents(tmp_path)
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
    assert contents(tmp_path) == previous
    assert signal.getsignal(number) is handler


FIT = ("--time-key", "time", "--sigma", "0.3", "--n-steps", "40", "--quiet")


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("keep", [True, False])
def test_interrupted_fit(time_course, tmp_path, capsys, monkeypatch, keep):
    """The best state of an interrupted fit is written only with ``--keep-interrupted``."""
    from scdiffot.tl._time_course import fit as _fit

    @contextmanager
    def interrupting_bar(*args, **options):
        def callback(progress):
            if progress.step == 25:
                os.kill(os.getpid(), signal.SIGINT)

        yield callback

    monkeypatch.setattr(_fit, "progress_bar", interrupting_bar)
    time_course.write_h5ad(tmp_path / "cells.h5ad")
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
