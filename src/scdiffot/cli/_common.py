"""Options and tables shared by the commands."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._errors import bad_input

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAS = "repeat the option or separate by commas"


def add_files(command: argparse.ArgumentParser, cells: str, table: str | None) -> None:
    """Add the arguments of commands that read and write files."""
    command.add_argument("file", type=Path, metavar="FILE", help=f"{cells}: .h5ad, .zarr or .h5mu")
    command.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="OUT",
        help="where to write: .h5ad, .zarr or .h5mu",
    )
    if table is not None:
        command.add_argument(
            "--table",
            type=Path,
            metavar="TABLE",
            help=f"also write {table} as a table: .csv or .json",
        )
    else:
        command.set_defaults(table=None)
    command.add_argument(
        "--overwrite", action="store_true", help="replace OUT and TABLE if they exist"
    )
    command.add_argument(
        "--quiet", action="store_true", help="no progress and no summary; warnings and errors stay"
    )


def add_run(command: argparse.ArgumentParser) -> None:
    """Add the arguments of commands that use a fit: its name and a seed."""
    add_seed(command)
    command.add_argument(
        "--key", default="scdiffot", metavar="NAME", help="name of the fit (%(default)s)"
    )


def check_device(name: str) -> None:
    """Raise an error if this machine lacks a device, before any file is read."""
    from scdiffot.core.nets.devices import resolve_device

    with bad_input():
        resolve_device(name)


def add_seed(command: argparse.ArgumentParser) -> None:
    """Add the option for the seed."""
    command.add_argument(
        "--rng", type=parse_seed, default=0, metavar="N", help="seed (%(default)s)"
    )


def add_paths(command: argparse.ArgumentParser, verb: str, *, default: str) -> None:
    """Add the arguments of commands that simulate cells to their fates."""
    command.add_argument(
        "--cell-key", required=True, metavar="KEY", help="column of obs with the cell types"
    )
    command.add_argument(
        "--source",
        metavar="S",
        help=f"cells to {verb}: label of a time, query of obs, or name of a cell ({default})",
    )
    command.add_argument(
        "--target-time", metavar="T", help="label of the time of the fates (last time)"
    )
    command.add_argument(
        "--n-trajectories", type=int, default=100, metavar="N", help="paths of a cell (%(default)s)"
    )
    command.add_argument(
        "--no-growth", action="store_true", help="do not count that cells divide and die"
    )


def add_keep_interrupted(command: argparse.ArgumentParser) -> None:
    """Add the option of commands that train a model."""
    command.add_argument(
        "--keep-interrupted",
        action="store_true",
        help="on Ctrl-C, write the best state so far (the exit code is 130 all the same)",
    )


def parse_seed(text: str) -> int:
    """Read a seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(
            f"{text!r} is no seed: pass a whole number that is zero or positive"
        )
    return int(text)


def make_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int]
) -> Any:
    """Make a table of texts; columns with indices in `right` are right-aligned."""
    from rich.table import Table
    from rich.text import Text

    # Text prevents markup in names of the data
    table = Table(title=Text(title), title_justify="left")
    for i, name in enumerate(columns):
        table.add_column(Text(name), justify="right" if i in right else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
