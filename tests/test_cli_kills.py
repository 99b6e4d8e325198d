"""Commands that are killed or run out of disk space leave existing files and no incomplete ones."""

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

# imports all packages once, forks a child for each command, and announces writes of results
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
PAGE_SIZE = 4096  # minimum size of a file on a tmpfs (bytes)
N_KILLS = 6  # for each command and output, half of them during writing


class Zygote:
    """Process with all packages imported, which forks commands."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", ZYGOTE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def start(self, words):
        """Return the process id and the number of announcements read before it."""
        self.process.stdin.write(json.dumps([str(word) for word in words]) + "\n")
        lines = iter(self.process.stdout.readline, "")
        # the child may announce a write before the parent reports its id
        n_early = 0
        for line in lines:
            if line.strip().isdecimal():
                return int(line), n_early
            n_early += 1
        raise AssertionError("the process has ended")

    def wait_for_writing(self, n):
        """Wait for n announcements; return False if the command ends first."""
        for _ in range(n):
            if self.process.stdout.readline() != "add\n":
                return False
        return True

    def wait(self):
        """Return the exit status of the command."""
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
def cells(time_course, quick):
    """Two small snapshots with a fit."""
    import scdiffot as sdo

    cells = time_course[time_course.obs["time"] < 2].copy()
    sdo.tl.fit(cells, "time", use_rep="X", **quick)
    return cells


def read(path):
    return ad.read_zarr(path) if path.suffix == ".zarr" else ad.read_h5ad(path)


def contents(path):
    """Return all bytes of a file or folder, or None if it does not exist."""
    if not path.is_dir():
        return path.read_bytes() if path.exists() else None
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def write_files(cells, folder, output):
    """Write the input of a command, and an older result if the output is to exist."""
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
    """Return whether a file contains all data and the result of the command."""
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
    source, out = write_files(cells, tmp_path, output)
    words = (command, source, "-o", out, *COMMANDS[command], "--quiet", "--overwrite")
    source_content, out_content = contents(source), contents(out)
    shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-backup"))
    for _ in range(2):
        # the first run fills the file cache, and the second measures durations
        start = time.monotonic()
        _, n_early = zygote.start(words)
        assert zygote.wait_for_writing(2 - n_early)
        writing_start = time.monotonic()
        assert zygote.wait() == 0
        total_time, writing_time = time.monotonic() - start, time.monotonic() - writing_start
    assert is_complete(command, out, cells)
    n_killed = 0
    while n_killed < N_KILLS:
        for path in tmp_path.iterdir():
            remove(path)
        shutil.copytree(tmp_path.with_name(f"{tmp_path.name}-backup"), tmp_path, dirs_exist_ok=True)
        child, n_early = zygote.start(words)
        if n_killed % 2:
            zygote.wait_for_writing(2 - n_early)
            time.sleep(rng.uniform(0, writing_time))
        else:
            time.sleep(rng.uniform(0, total_time))
        # the command may have ended already
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        if zygote.wait() == signal.SIGKILL:
            n_killed += 1
        else:
            total_time, writing_time = 0.9 * total_time, 0.9 * writing_time
        if out != source:
            assert contents(source) == source_content
        if contents(out) != out_content:
            assert is_complete(command, out, cells)
        other_names = {path.name for path in tmp_path.iterdir() if path not in (source, out)}
        assert all(name.startswith(PREFIX) for name in other_names)


@pytest.fixture
def small_disk(tmp_path):
    """Function that mounts an empty disk with a size in bytes; this requires root."""
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
    source, _ = write_files(cells, tmp_path / "work", f"new{suffix}")
    words = ("fate", source, *map(str, COMMANDS["fate"]), "--quiet", "--overwrite")
    assert cli.main([*map(str, words), "-o", str(tmp_path / "work" / f"whole{suffix}")]) == 0
    files = contents(source).values() if suffix == ".zarr" else [contents(source)]
    size = sum(PAGE_SIZE * -(-len(file) // PAGE_SIZE) for file in files)
    # the disk has space for the input and a share of the output
    codes = []
    for share in (0, 0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1, 20):
        disk = small_disk(int(size * (1 + share)) + PAGE_SIZE)
        old = disk / source.name
        shutil.copytree(source, old) if suffix == ".zarr" else shutil.copy(source, old)
        previous = contents(old)
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
            assert contents(old) == previous
            assert error.count("\n") == 1
            assert "No space left on device" in error
    assert codes[0] == 2
    assert codes[-1] == 0
