"""`scdiffot interpolate`: from a file with a fit to a file with the cells of another time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffot.cli._common import add_files, add_run
from scdiffot.cli._errors import BadInput, bad_input

if TYPE_CHECKING:
    from scdiffot.cli._job import Job


def add_interpolate(commands: Any) -> None:
    """Add the command and its options."""
    interpolate = commands.add_parser(
        "interpolate",
        help="predict the cells of any time of a fit",
        description="Predict the population at any time between the first and the last snapshot of "
        "a fit, and write its cells to another file. See scdiffot.tl.interpolate for the options.",
    )
    add_files(interpolate, "cells with a fit, as `scdiffot fit` writes them", None)
    interpolate.add_argument(
        "--time", required=True, metavar="T", help="a number, or the label of a snapshot"
    )
    interpolate.add_argument(
        "--n-obs",
        type=int,
        metavar="N",
        help="sample N cells with equal weights (all cells, with weights)",
    )
    add_run(interpolate)
    interpolate.set_defaults(run=_interpolate)


def _interpolate(job: Job) -> int:
    arguments = job.arguments
    adata = job.read(same_cells=False)
    from scdiffot import tl
    from scdiffot._data.write.store import read_times

    with bad_input():
        labels = read_times(adata, arguments.key).labels
        time = (
            arguments.time
            if arguments.time in labels
            else _parse_time(arguments.time, list(labels))
        )
        virtual = tl.interpolate(
            adata, time, n_obs=arguments.n_obs, rng=arguments.rng, key=arguments.key
        )
    mass = float(virtual.obs["weight"].sum())
    text = (
        f"{virtual.n_obs} cells at {arguments.time}, of {mass:.3g} times the mass of the first "
        "snapshot"
    )
    return job.finish(virtual, table=lambda: virtual.obs, summary=lambda: text)


def _parse_time(text: str, labels: list[str]) -> float:
    try:
        return float(text)
    except ValueError:
        from scdiffot._data.read.checks import suggest

        raise BadInput(
            f"--time is {text!r}, neither a number nor a label. {suggest(text, labels)}"
        ) from None
