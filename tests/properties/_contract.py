"""What every public function promises: a result or one of our own errors, and nothing half-done."""

from __future__ import annotations

import linecache
import logging
import signal
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

import scdiffot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = str(Path(scdiffot.__file__).parent)
OWN_ERRORS = (ValueError, KeyError, TypeError, ImportError)
TIME_LIMIT = 120
# What a user with Python's own settings does not see.
HIDDEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning)


class HangError(BaseException):
    """A call that takes longer than any of its kind."""


@dataclass(frozen=True)
class Outcome:
    """A returned value, or an error."""

    value: Any = None
    error: Exception | None = None


def call(
    function: Callable, *arguments: Any, fingerprint: Callable[[AnnData], dict], **options: Any
) -> Outcome:
    """Call a public function and hold it to the contract.

    An error must be raised by the package, name what is wrong, and leave every AnnData among the arguments as it was. No warning
    may reach the user, and nothing may hang.
    """
    holders = [value for value in (*arguments, *options.values()) if isinstance(value, AnnData)]
    before = [fingerprint(adata) for adata in holders]
    random_state = np.random.get_state()[1].copy()  # noqa: NPY002
    level = logging.getLogger("scdiffot").level
    with _time_limit(), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            outcome = Outcome(value=function(*arguments, **options))
        except OWN_ERRORS as error:
            check_own(error)
            outcome = Outcome(error=error)
    leaked = [
        f"{w.category.__name__}: {w.message} ({w.filename})"
        for w in seen
        if not issubclass(w.category, HIDDEN)
    ]
    assert not leaked, f"warnings reach the user: {leaked}"
    moved = (np.random.get_state()[1] != random_state).any()  # noqa: NPY002
    assert not moved, "the global generator of NumPy has moved"
    assert logging.getLogger("scdiffot").level == level
    if outcome.error is not None or options.get("copy"):
        for adata, content in zip(holders, before, strict=True):
            after = fingerprint(adata)
            changed = [part for part in content if content[part] != after[part]]
            assert not changed, f"{changed} changed, although {outcome.error!r}"
    return outcome


def check_own(error: Exception) -> None:
    """An error of ours comes from a `raise` in the package, and names an argument in backticks."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    source = linecache.getline(frame.filename, frame.lineno or 0).strip()
    own = frame.filename.startswith(PACKAGE) and source.startswith("raise ")
    message = str(error)
    shown = "".join(traceback.format_exception(error))
    assert own, f"a foreign error reaches the user:\n{shown}"
    assert "`" in message or "adata" in message, f"the error names no argument: {message}"
    assert not isinstance(error, UnicodeError), shown


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise HangError(f"no answer after {TIME_LIMIT} s")

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(TIME_LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)
