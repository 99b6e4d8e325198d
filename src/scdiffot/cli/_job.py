"""Input and output files of a command."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ._destinations import TABLES, Destination, check_destinations, check_source
from ._errors import BadInput, text_of
from ._lists import FORMATS

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
        Signals received while the command runs.
    """

    def __init__(self, arguments: argparse.Namespace, signals: Signals) -> None:
        self.arguments = arguments
        self.signals = signals

    @property
    def show_progress(self) -> bool:
        """Whether to show progress bars."""
        return not self.arguments.quiet

    def read(self, *, same_cells: bool = True) -> Any:
        """Check all destinations of results, then read the input.

        Parameters
        ----------
        same_cells
            Whether the result contains all of the input, and may therefore replace it.

        Raises
        ------
        BadInput
            If the input cannot be read, or a result cannot be written.
        """
        from scdiffot._data.files.formats import ANNDATA, check_format, content_of, read_cells

        source, out, table = self.arguments.file, self.arguments.out, self.arguments.table
        check_source(source, FORMATS)
        destinations = [Destination("--out", out, FORMATS)]
        if table is not None:
            destinations.append(Destination("--table", table, TABLES))
        check_destinations(
            destinations, source, overwrite=self.arguments.overwrite, keep_source=not same_cells
        )
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
            self._check_annotations(adata)
        return adata

    def is_interrupted(self, history: Mapping[str, Any]) -> bool:
        """Return whether a fit was interrupted and its best state is to be written.

        Raises
        ------
        KeyboardInterrupt
            If the fit was interrupted without ``--keep-interrupted``.
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
        """Write the results, then print the summary and the paths unless ``--quiet``.

        Parameters
        ----------
        adata
            The cells.
        table
            Function that returns the table for ``--table``.
        summary
            Function that returns the summary to print.
        interrupted
            Whether the cells contain the best state of an interrupted fit.

        Returns
        -------
        The exit code.

        Raises
        ------
        BadInput
            If a result cannot be written; in that case none of the results is written.
        KeyboardInterrupt
            If a Ctrl-C was caught during the computation.
        """
        from scdiffot._data.files.atomic import Transaction
        from scdiffot._data.files.formats import write_cells, write_table

        out, table_path = self.arguments.out, self.arguments.table
        text = None if self.arguments.quiet else summary()
        with Transaction(overwrite=self.arguments.overwrite) as results:
            self.add(results, out, lambda path: write_cells(adata, path, out.suffix))
            if table_path is not None:
                rows = table()
                self.add(
                    results, table_path, lambda path: write_table(rows, path, table_path.suffix)
                )
            self.commit(results, interrupted=interrupted)
        if interrupted:
            sys.stderr.write(
                f"scdiffot {self.arguments.command}: interrupted: the best state "
                f"so far is in {out}\n"
            )
        if text is not None:
            print_summary(
                text, f"Written to {out}" + (f" and {table_path}" if table_path is not None else "")
            )
        return INTERRUPTED if interrupted else 0

    def _check_annotations(self, adata: AnnData | MuData) -> None:
        """Write the annotations to a temporary file, to detect entries that cannot be written."""
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
            If the result cannot be written.
        """
        try:
            results.add(target, write)
        except Exception as error:
            raise BadInput(f"{target} cannot be written: {text_of(error)}") from error

    def commit(self, results: Transaction, *, interrupted: bool = False) -> None:
        """Move the results to their destinations, unless there was a Ctrl-C.

        Parameters
        ----------
        results
            The results.
        interrupted
            Whether to write the results of an interrupted command.

        Raises
        ------
        BadInput
            If the results cannot be moved.
        KeyboardInterrupt
            If there was a Ctrl-C, including one that was caught during the computation.
        """
        # later signals are ignored, so that all results are moved
        self.signals.final = True
        if self.signals.interrupted and not interrupted:
            raise KeyboardInterrupt
        try:
            results.commit()
        except FileExistsError as error:
            raise BadInput(
                f"{error.filename} has appeared meanwhile and is left alone: the result is in "
                f"{error.filename2}"
            ) from error
        except OSError as error:
            raise BadInput(f"a result cannot be moved into place: {text_of(error)}") from error

    def report(self, text: str) -> None:
        """Write a status message to the standard error if it cannot show progress bars."""
        from rich.console import Console

        console = Console(stderr=True)
        if self.show_progress and (console.is_dumb_terminal or not console.is_terminal):
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def print_summary(*texts: Any) -> None:
    """Print tables and lines; a closed pipe, as after `head`, is not an error."""
    from rich.console import Console

    # file names may contain characters that the encoding of the terminal lacks
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console()
    # the text is captured, since rich ends the process on a closed pipe
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
    """Redirect the standard output, so that flushing it at exit cannot fail."""
    import os

    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
