"""Environments of the peers, outside the repository; changed requirements get a new environment."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def python_of(peer: str, env_dir: Path) -> Path:
    """Interpreter of a peer; the first call creates its environment, which takes minutes.

    Parameters
    ----------
    peer
        Name of the peer: its requirements are in ``<peer>.txt`` in the folder of this file.
    env_dir
        Folder of the environments.

    Returns
    -------
    Path of the interpreter.

    Raises
    ------
    RuntimeError
        If the requirements cannot be installed; the message ends with that of pip.
    """
    requirements = FOLDER / f"{peer}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:8]
    folder = env_dir / f"{peer}-{sys.version_info.major}.{sys.version_info.minor}-{digest}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        command = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--requirement",
            str(requirements),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"{peer} cannot be installed: {last_line(result.stderr)}")
        complete.touch()
    return python


def run_script(peer: str, folder: Path, *, env_dir: Path, timeout: float) -> None:
    """Run a peer's script on the job in a folder, on one thread.

    Parameters
    ----------
    peer
        Name of the peer: its script is ``run_<peer>.py`` in the folder of this file.
    folder
        Folder of the job and of its answer.
    env_dir
        Folder of the environments.
    timeout
        Seconds after which the peer is stopped.

    Raises
    ------
    RuntimeError
        If it cannot be installed, fails, or takes too long.
    """
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    one_thread["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    command = [str(python_of(peer, env_dir)), str(FOLDER / f"run_{peer}.py"), str(folder)]
    environment = (
        {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        | one_thread
        | {"MPLBACKEND": "agg"}
    )
    try:
        result = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{peer} was stopped after {timeout:.0f} s") from error
    if result.returncode:
        raise RuntimeError(f"{peer} failed: {last_line(result.stderr)}")


def last_line(text: str) -> str:
    """The last line that is not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
