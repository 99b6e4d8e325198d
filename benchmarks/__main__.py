"""Run the benchmarks and write their page: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

# Set before torch and numpy are imported. Small networks run fastest on one thread, and CPU seconds
# are comparable.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]


def parts() -> dict[str, ModuleType]:
    """The parts by their letter."""
    from .tasks import (
        fates,
        held_out,
        in_sample,
        left_out,
        peers,
        regulators,
        responses,
        space,
        speed,
        stability,
        truth,
    )

    return {
        "A": held_out,
        "B": in_sample,
        "C": left_out,
        "D": truth,
        "E": stability,
        "F": speed,
        "G": peers,
        "H": fates,
        "I": regulators,
        "J": responses,
        "K": space,
    }


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split(":")[0])
    parser.add_argument("--only", metavar="A,C", help="parts to run (A to K); all by default")
    parser.add_argument(
        "--data", metavar="emt,misa", help="data sets to run; all of each part by default"
    )
    parser.add_argument(
        "--peers", metavar="NAMES", help="peers to run in parts G and J; all of G by default"
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="splits and fits to average over (default 3)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one seed and smaller data, results in .benchmark_cache/",
    )
    parser.add_argument(
        "--steps", type=int, help="optimisation steps of our fits, to test the harness"
    )
    parser.add_argument(
        "--out", type=Path, help="folder of benchmarks.md and benchmarks.json (default docs)"
    )
    parser.add_argument(
        "--report", action="store_true", help="measure nothing, write the page from stored results"
    )
    parser.add_argument(
        "--env-dir",
        type=Path,
        default=Path("~/.cache/scdiffot-benchmarks").expanduser(),
        help="folder of the environments of the peers (default %(default)s)",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the parts in turn; every result is saved as soon as it is measured."""
    arguments = parse(argv)
    from rich.console import Console

    from .report import write_page
    from .settings import Settings
    from .store import Store
    from .tasks import peers, responses

    console = Console()
    tasks = parts()
    letters = _names(arguments.only, tuple(tasks), "--only")
    out = arguments.out or (ROOT / ".benchmark_cache" if arguments.quick else ROOT / "docs")
    config = {"train": {"n_steps": arguments.steps}, "corrections": {"n_rounds": 0}}
    fit = {} if arguments.steps is None else {"config": config}
    settings = Settings(
        n_seeds=1 if arguments.quick else arguments.seeds,
        quick=arguments.quick,
        fit=fit,
        peers=_names(arguments.peers, (*peers.PEERS, *responses.PEERS), "--peers")
        if arguments.peers
        else peers.PEERS,
        env_dir=arguments.env_dir.expanduser(),
    )
    store = Store(out / "benchmarks.json")
    for letter in () if arguments.report else letters:
        task = tasks[letter]
        for name in arguments.data.split(",") if arguments.data else task.DATASETS:
            if name not in task.DATASETS and not (name == "toy" and letter in "ABCEF"):
                continue
            start = time.perf_counter()
            for row in task.run(name, settings):
                store.add(letter, name, row)
            seconds = time.perf_counter() - start
            console.print(f"{letter} {task.__name__.rpartition('.')[2]} {name}: {seconds:.0f} s")
    write_page(store, out / "benchmarks.md")
    console.print(f"wrote {out / 'benchmarks.md'} and {store.path}")
    return 0


def _names(value: str | None, choices: tuple[str, ...], option: str) -> tuple[str, ...]:
    """Names of a comma-separated option; all choices without it."""
    if value is None:
        return choices
    names = tuple(value.split(","))
    unknown = sorted(set(names) - set(choices))
    if unknown:
        raise SystemExit(f"{option} has {', '.join(unknown)}: choose from {', '.join(choices)}.")
    return names


if __name__ == "__main__":
    raise SystemExit(main())
