"""A command from file to file: what it reads, and what it leaves behind."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ._errors import BadInput, text_of
from ._lists import FORMATS
from ._places import TABLES, Destination, check_places, check_source

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.files.atomic import Transaction

    from ._signals import Signals

INTERRUPTED = 130


class Job:
    """One run of a command.

    Parameters
    ----------
    arguments
        Arguments of the command line.
    signals
        Whether there was a Ctrl-C.
    """

    def __init__(self, arguments: argparse.Namespace, signals: Signals) -> None:
        self.arguments = arguments
        self.signals = signals

    @property
    def show_progress(self) -> bool:
        """Whether to show bars."""
        return not self.arguments.quiet

    def read(self, *, same_cells: bool = True) -> Any:
        """Read the input, after a look at all places where results go.

        Parameters
        ----------
        same_cells
            Whether the result holds all of the input, and may replace it.

        Raises
        ------
        BadInput
            If the input cannot be read, or a result could not be written.
        """
        from scdiffot._data.files.formats import ANNDATA, check_format, content_of, read_cells

        source, out, table = self.arguments.file, self.arguments.out, self.arguments.table
        check_source(source, FORMATS)
        places = [Destination("--out", out, FORMATS)]
        if table is not None:
            places.append(Destination("--table", table, TABLES))
        check_places(places, source, overwrite=self.arguments.overwrite, keep_source=not same_cells)
        try:
            content = content_of(source)
            adata = read_cells(source)
        except Exception as error:
            raise BadInput(
                f"{source} cannot be read as {source.suffix}: {text_of(error)}"
            ) from error
        try:
            check_format(content if same_cells else ANNDATA, out.suffix)
        except ValueError as error:
            raise BadInput(f"--out is {out}: {error}") from error
        if same_cells:
            self._try_annotations(adata)
        return adata

    def is_interrupted(self, history: Mapping[str, Any]) -> bool:
        """Whether a fit was interrupted and its best state is wanted.

        Raises
        ------
        KeyboardInterrupt
            If it was interrupted and is not wanted.
        """
        if not (self.signals.interrupted or history["interrupted"]):
            return False
        if not self.arguments.keep_interrupted:
            raise KeyboardInterrupt
        return True

    def finish(
        self,
        adata: AnnData | MuData,
        *,
        table: Callable[[], pd.DataFrame],
        summary: Callable[[], Any],
        interrupted: bool = False,
    ) -> int:
        """Write the results, then print the summary and where they are, unless asked to be quiet.

        Parameters
        ----------
        adata
            The cells.
        table
            Makes the table for ``--table``.
        summary
            Makes what to print.
        interrupted
            Whether this is the best state of a fit that was interrupted.

        Returns
        -------
        The exit code.

        Raises
        ------
        BadInput
            If something cannot be written; nothing stands under any of the names then.
        KeyboardInterrupt
            If there was a Ctrl-C that something has caught.
        """
        from scdiffot._data.files.atomic import Transaction
        from scdiffot._data.files.formats import write_cells, write_table

        out, csv = self.arguments.out, self.arguments.table
        text = None if self.arguments.quiet else summary()
        with Transaction(overwrite=self.arguments.overwrite) as results:
            self.add(results, out, lambda path: write_cells(adata, path, out.suffix))
            if csv is not None:
                rows = table()
                self.add(results, csv, lambda path: write_table(rows, path, csv.suffix))
            self.commit(results, interrupted=interrupted)
        if interrupted:
            sys.stderr.write(
                f"scdiffot {self.arguments.command}: interrupted: the best state so far is in {out}\n"
            )
        if text is not None:
            print_summary(text, f"Written to {out}" + (f" and {csv}" if csv is not None else ""))
        return INTERRUPTED if interrupted else 0

    def _try_annotations(self, adata: AnnData | MuData) -> None:
        """Write the annotations to a file that is removed: what cannot be written shows before the work."""
        from scdiffot._data.files.atomic import Transaction
        from scdiffot._data.files.formats import annotations_of, write_cells

        out = self.arguments.out
        with Transaction() as trial:
            self.add(trial, out, lambda path: write_cells(annotations_of(adata), path, ".h5ad"))

    def add(self, results: Transaction, target: Path, write: Callable[[Path], Any]) -> None:
        """Write a result under a temporary name.

        Raises
        ------
        BadInput
            If it cannot be written.
        """
        try:
            results.add(target, write)
        except Exception as error:
            raise BadInput(f"{target} cannot be written: {text_of(error)}") from error

    def commit(self, results: Transaction, *, interrupted: bool = False) -> None:
        """Move the results into place, unless there was a Ctrl-C.

        Parameters
        ----------
        results
            The results.
        interrupted
            Whether the results of an interrupted command are wanted.

        Raises
        ------
        BadInput
            If they cannot be moved.
        KeyboardInterrupt
            If there was a Ctrl-C, also one that something has caught.
        """
        # from here on, signals come too late
        self.signals.final = True
        if self.signals.interrupted and not interrupted:
            raise KeyboardInterrupt
        try:
            results.commit()
        except FileExistsError as error:
            raise BadInput(
                f"{error.filename} has appeared meanwhile and is left alone: the result is in {error.filename2}"
            ) from error
        except OSError as error:
            raise BadInput(f"a result cannot be moved into place: {text_of(error)}") from error

    def say(self, text: str) -> None:
        """Say on the standard error what happens now, where no bar can show it."""
        from rich.console import Console

        console = Console(stderr=True)
        if self.show_progress and (console.is_dumb_terminal or not console.is_terminal):
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def print_summary(*texts: Any) -> None:
    """Print tables and lines; who has stopped to listen, as `head` does, needs nothing more."""
    from rich.console import Console

    # names of files may hold what the terminal cannot show
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console()
    # printed by ourselves, since rich ends the process where nobody listens
    with console.capture() as capture:
        for text in texts:
            console.print(text, soft_wrap=isinstance(text, str), highlight=False, markup=False)
    try:
        sys.stdout.write(capture.get())
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        _discard_output()
        raise BadInput(f"results are written, but the summary is not: {text_of(error)}") from error


def _discard_output() -> None:
    """Let nothing fail when Python flushes the output at its end."""
    import os

    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
