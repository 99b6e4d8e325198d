"""Options of a run of the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """Options of a run.

    Parameters
    ----------
    n_seeds
        Number of splits and fits of everything that is averaged.
    quick
        Whether to run a reduced version of every part.
    fit
        Options of the fits other than the defaults; only for testing the harness.
    n_obs
        Number of cells or spots of a simulated tissue other than the default; only for testing the
        harness.
    peers
        Names of the peers to run.
    env_dir
        Folder of the environments of the peers.
    """

    n_seeds: int = 3
    quick: bool = False
    fit: dict[str, Any] = field(default_factory=dict)
    n_obs: int | None = None
    peers: tuple[str, ...] = ()
    env_dir: Path = Path("~/.cache/scdiffot-benchmarks").expanduser()
