"""The progress bar of long work."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.progress import Progress as Bar

    from scdiffot.core.problem.config import Progress


@contextmanager
def progress_bar(
    description: str, *, show: bool, n_fits: int = 1
) -> Iterator[Callable[[Progress], None] | None]:
    """Show how far a fit is, its loss and the time left, in a notebook or terminal; elsewhere nothing.

    Parameters
    ----------
    description
        What is running.
    show
        Whether to show anything.
    n_fits
        Number of fits that follow each other.

    Yields
    ------
    What the core calls with its progress; None if nothing is shown.
    """
    console = _console() if show else None
    if console is None:
        yield None
        return
    with _bar(console, "loss {task.fields[loss]}") as bar:
        task = bar.add_task(description, total=None, loss="...")
        n_finished, last_step = 0, 0

        def callback(progress: Progress) -> None:
            nonlocal n_finished, last_step
            # a fit that starts over is the next one
            n_finished += progress.step < last_step
            last_step = progress.step
            bar.update(
                task,
                description=f"{description}: {progress.stage}",
                total=n_fits * progress.n_steps,
                completed=n_finished * progress.n_steps + progress.step,
                loss=f"{progress.loss:.4g}",
            )

        yield callback


@contextmanager
def cell_bar(
    description: str, n_cells: int, *, show: bool
) -> Iterator[Callable[[int], None] | None]:
    """Show how many cells are done and the time left, in a notebook or terminal; elsewhere nothing.

    Parameters
    ----------
    description
        What is running.
    n_cells
        Number of cells in all.
    show
        Whether to show anything.

    Yields
    ------
    What the core calls with the number of cells that are done since the last call; None if nothing is shown.
    """
    console = _console() if show else None
    if console is None:
        yield None
        return
    with _bar(console, "cells") as bar:
        task = bar.add_task(description, total=n_cells)
        yield lambda n: bar.advance(task, n)


def _bar(console: Console, details: str) -> Bar:
    """A bar with counts, a text beside them and the time left."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn(details),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    )


def _console() -> Console | None:
    """A console that can draw a bar, if there is one."""
    from importlib.util import find_spec

    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter and find_spec("ipywidgets") is None:
        # Without widgets, rich draws nothing in a notebook; a bar of one line needs none.
        return Console(stderr=True, force_jupyter=False, force_terminal=True, width=100)
    return console if console.is_terminal or console.is_jupyter else None
