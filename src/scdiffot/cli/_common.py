"""What the commands share: files in and out, errors and tables."""

from __future__ import annotations

import argparse
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from anndata import AnnData


class BadInput(Exception):
    """What the user asked for cannot be done; the message says why."""


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn the errors that functions raise for wrong arguments into one line for the user."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(_text(error)) from error


def add_files(command: argparse.ArgumentParser, cells: str) -> None:
    """Add the arguments that every command from file to file has."""
    from pathlib import Path

    command.add_argument("file", type=Path, metavar="FILE.h5ad", help=cells)
    command.add_argument("-o", "--out", type=Path, required=True, metavar="OUT.h5ad", help="where to write")


def read(source: Path, out: Path) -> AnnData:
    """Read the cells, after a look at both names, so that no work is done that cannot be written."""
    if not source.is_file():
        raise BadInput(f"{source} is no file")
    if out.suffix != ".h5ad":
        raise BadInput(f"--out is {out}: name a file that ends with .h5ad")
    if not out.parent.is_dir():
        raise BadInput(f"the folder {out.parent} of --out does not exist")
    from anndata import read_h5ad

    try:
        return read_h5ad(source)
    except (OSError, KeyError, ValueError) as error:
        raise BadInput(f"{source} cannot be read as .h5ad: {_text(error)}") from error


def add_run(command: argparse.ArgumentParser) -> None:
    """Add the arguments of every command that asks a fit: seed, name of the fit, and whether to talk."""
    command.add_argument("--rng", type=seed, default=0, metavar="N", help="seed (%(default)s)")
    command.add_argument("--key", default="scdiffot", metavar="NAME", help="name of the fit (%(default)s)")
    command.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def seed(text: str) -> int:
    """Read a seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: pass a whole number that is zero or positive")
    return int(text)


def finish(adata: AnnData, out: Path, summary: Callable[[], Any] | None) -> None:
    """Write the cells, then print the summary, unless it is None, and where they are."""
    adata.write_h5ad(out)
    if summary is not None:
        from rich.console import Console

        console = Console()
        console.print(summary())
        console.print(f"Written to {out}", soft_wrap=True, highlight=False)


def make_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int]) -> Any:
    """Make a table of texts; the columns at the positions `right` are numbers."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i in right else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _text(error: Exception) -> str:
    # the text of a KeyError is the repr of its message
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
