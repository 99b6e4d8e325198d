"""Commands that are killed, or run out of space, at any moment: what was there stays, and nothing is half."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import anndata as ad
import numpy as np
import pytest

from scdiffot._data.files.atomic import PREFIX, remove

# Imports everything once, then runs each command in a child, and says when a result is about to be written.
ZYGOTE = """
import json, os, sys
import anndata, h5py, pandas, rich.console, sklearn.ensemble, torch, zarr
from scdiffot import cli, get, tl
from scdiffot._data.files.atomic import Transaction

add = Transaction.add

def announce(self, target, write):
    os.write(1, b"add\\n")
    return add(self, target, write)

Transaction.add = announce
for line in sys.stdin:
    words = json.loads(line)
    child = os.fork()
    if child == 0:
        try:
            code = cli.main(words)
        except SystemExit as stop:
            code = stop.code
        os._exit(code)
    os.write(1, b"%d\\n" % child)
    _, status = os.waitpid(child, 0)
    os.write(1, b"end %d\\n" % status)
"""
COMMANDS = {
    "fit": ("--time-key", "time", "--use-rep", "X", "--sigma", "0.3", "--n-steps", "5"),
    "fate": ("--cell-key", "cell_type", "--n-trajectories", "2"),
    "perturb": ("--cell-key", "cell_type", "--n-trajectories", "2", "--genes", "0=1"),
}
OUTPUTS = ("new.h5ad", "old.h5ad", "input.h5ad", "new.zarr", "old.zarr", "input.zarr")
PAGE = 4096  # the least that a file takes of a disk in memory
N_KILLS = 6  # of every command and output, half of them while it writes


class Zygote:
    """A process from which commands start at once."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", ZYGOTE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def start(self, words):
        """The id of the process."""
        self.process.stdin.write(json.dumps([str(word) for word in words]) + "\n")
        lines = iter(self.process.stdout.readline, "")
        # the child may write before its parent does
        early = 0
        for line in lines:
            if line.strip().isdecimal():
                return int(line), early
            early += 1
        raise AssertionError("the process has ended")

    def wait_for_writing(self, n):
        """Wait for the n-th announcement from now; False if the command ends before."""
        for _ in range(n):
            if self.process.stdout.readline() != "add\n":
                return False
        return True

    def wait(self):
        """The status of the command."""
        for line in iter(self.process.stdout.readline, ""):
            if line.startswith("end "):
                return int(line.split()[1])
        raise AssertionError("the process has ended")

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture(scope="module")
def zygote():
    zygote = Zygote()
    yield zygote
    zygote.stop()


@pytest.fixture
def cells(course, quick):
    """Two small snapshots with a fit."""
    import scdiffot as sdo

    cells = course[course.obs["time"] < 2].copy()
    sdo.tl.fit(cells, "time", use_rep="X", **quick)
    return cells


def read(path):
    return ad.read_zarr(path) if path.suffix == ".zarr" else ad.read_h5ad(path)


def contents(path):
    """All bytes of a file or folder."""
    if not path.is_dir():
        return path.read_bytes() if path.exists() else None
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def place(cells, folder, output):
    """The input and the output of a command; what exists of the output is an older result."""
    suffix = output[output.index(".") :]
    source, out = folder / f"input{suffix}", folder / output
    if suffix == ".zarr":
        cells.write_zarr(source)
    else:
        cells.write_h5ad(source)
    if output.startswith("old"):
        shutil.copytree(source, out) if suffix == ".zarr" else shutil.copy(source, out)
    return source, out


def is_complete(command, path, cells):
    """Whether a file can be read and holds all data and the result of the command."""
    result = read(path)
    np.testing.assert_array_equal(result.X, cells.X)
    assert list(result.obs_names) == list(cells.obs_names)
    if command == "fate":
        return "scdiffot_fate" in result.obsm and "fate" in result.uns["scdiffot"]
    if command == "perturb":
        return "perturbation" in result.uns["scdiffot"]
    return len(result.uns["scdiffot"]["history"]["step"]) > 0 and "scdiffot_velocity" in result.obsm


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="children that start at once")
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_kill_loses_nothing(zygote, cells, tmp_path, command, output):
    rng = np.random.default_rng(OUTPUTS.index(output))
    source, out = place(cells, tmp_path, output)
    words = (command, source, "-o", out, *COMMANDS[command], "--quiet", "--overwrite")
    before_source, before_out = contents(source), contents(out)
    shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-backup"))
    for _ in range(2):
        # the first run loads what the second finds in memory
        start = time.monotonic()
        _, early = zygote.start(words)
        assert zygote.wait_for_writing(2 - early)
        writing = time.monotonic()
        assert zygote.wait() == 0
        whole, rest = time.monotonic() - start, time.monotonic() - writing
    assert is_complete(command, out, cells)
    n_killed = 0
    while n_killed < N_KILLS:
        for path in tmp_path.iterdir():
            remove(path)
        shutil.copytree(tmp_path.with_name(f"{tmp_path.name}-backup"), tmp_path, dirs_exist_ok=True)
        child, early = zygote.start(words)
        if n_killed % 2:
            zygote.wait_for_writing(2 - early)
            time.sleep(rng.uniform(0, rest))
        else:
            time.sleep(rng.uniform(0, whole))
        # the command may have ended, on a machine that is faster now
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        if zygote.wait() == signal.SIGKILL:
            n_killed += 1
        else:
            whole, rest = 0.9 * whole, 0.9 * rest
        if out != source:
            assert contents(source) == before_source
        if contents(out) != before_out:
            assert is_complete(command, out, cells)
        others = {path.name for path in tmp_path.iterdir() if path not in (source, out)}
        assert all(name.startswith(PREFIX) for name in others)


@pytest.fixture
def small_disk(tmp_path):
    """A function that makes an empty disk of some bytes; only root may."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def make(size):
        subprocess.run(["umount", folder], check=False, capture_output=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        if (
            shutil.which("mount") is None
            or subprocess.run(command, check=False, capture_output=True).returncode
        ):
            pytest.skip("no disk can be mounted here")
        return folder

    yield make
    subprocess.run(["umount", folder], check=False, capture_output=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_a_full_disk_loses_nothing(cells, small_disk, tmp_path, capfd, suffix):
    from scdiffot import cli

    (tmp_path / "work").mkdir()
    source, _ = place(cells, tmp_path / "work", f"new{suffix}")
    words = ("fate", source, *map(str, COMMANDS["fate"]), "--quiet", "--overwrite")
    assert cli.main([*map(str, words), "-o", str(tmp_path / "work" / f"whole{suffix}")]) == 0
    files = contents(source).values() if suffix == ".zarr" else [contents(source)]
    size = sum(PAGE * -(-len(file) // PAGE) for file in files)
    # the disk holds the input, and some of the output
    codes = []
    for share in (0, 0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1, 20):
        disk = small_disk(int(size * (1 + share)) + PAGE)
        old = disk / source.name
        shutil.copytree(source, old) if suffix == ".zarr" else shutil.copy(source, old)
        before = contents(old)
        capfd.readouterr()
        code = cli.main(
            ["fate", str(old), "-o", str(old), *COMMANDS["fate"], "--quiet", "--overwrite"]
        )
        error = capfd.readouterr().err
        codes.append(code)
        assert [path.name for path in disk.iterdir()] == [old.name], error
        if code == 0:
            assert is_complete("fate", old, cells)
        else:
            assert code == 2
            assert contents(old) == before
            assert error.count("\n") == 1
            assert "No space left on device" in error
    assert codes[0] == 2
    assert codes[-1] == 0
