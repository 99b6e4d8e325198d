"""Progress bars of fits and simulations."""

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
    """Show the progress of a fit, its loss and the remaining time, in a notebook or terminal.

    Parameters
    ----------
    description
        Name of the work.
    show
        Whether to show anything.
    n_fits
        Number of consecutive fits.

    Yields
    ------
    Callback for the core, which passes its progress; None if nothing is shown.
    """
    console = _make_console() if show else None
    if console is None:
        yield None
        return
    with _make_bar(console, "loss {task.fields[loss]}") as bar:
        task = bar.add_task(description, total=None, loss="...")
        n_finished, last_step = 0, 0

        def callback(progress: Progress) -> None:
            nonlocal n_finished, last_step
            # The step decreases when the next fit starts.
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
    """Show the number of finished cells and the remaining time, in a notebook or terminal.

    Parameters
    ----------
    description
        Name of the work.
    n_cells
        Total number of cells.
    show
        Whether to show anything.

    Yields
    ------
    Callback for the core, which passes the number of cells finished since the last call; None if
    nothing is shown.
    """
    console = _make_console() if show else None
    if console is None:
        yield None
        return
    with _make_bar(console, "cells") as bar:
        task = bar.add_task(description, total=n_cells)
        yield lambda n: bar.advance(task, n)


def _make_bar(console: Console, details: str) -> Bar:
    """Create a bar with counts, a text of details and the remaining time."""
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


def _make_console() -> Console | None:
    """Create a console that can draw a bar; None if neither notebook nor terminal is available."""
    from importlib.util import find_spec

    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter and find_spec("ipywidgets") is None:
        # Without ipywidgets, rich draws nothing in a notebook, except as a terminal.
        return Console(stderr=True, force_jupyter=False, force_terminal=True, width=100)
    return console if console.is_terminal or console.is_jupyter else None
