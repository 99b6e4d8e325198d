"""What a run of the benchmarks is told."""

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
        Number of splits and fits of everything that is averaged; 1 for a quick look.
    fit
        Options of the fits other than the defaults; only for trying the harness out.
    peers
        Names of the peers to run.
    env_dir
        Where the environments of the peers are kept.
    """

    n_seeds: int = 3
    fit: dict[str, Any] = field(default_factory=dict)
    peers: tuple[str, ...] = ()
    env_dir: Path = Path("~/.cache/scdiffot-benchmarks").expanduser()

    @property
    def quick(self) -> bool:
        """Whether this is a quick look only."""
        return self.n_seeds == 1
