"""The contract of every public function: a result, or an error without partial results."""

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
# Warnings that Python hides by default
HIDDEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning)


class HangError(BaseException):
    """A call that exceeds the time limit."""


@dataclass(frozen=True)
class Outcome:
    """A returned value, or an error."""

    value: Any = None
    error: Exception | None = None


def call(
    function: Callable, *arguments: Any, fingerprint: Callable[[AnnData], dict], **options: Any
) -> Outcome:
    """Call a public function and check the contract.

    An error must be raised by the package, name the argument, and leave every AnnData among the
    arguments unchanged. No warning may reach the user, and no call may hang.
    """
    holders = [value for value in (*arguments, *options.values()) if isinstance(value, AnnData)]
    contents = [fingerprint(adata) for adata in holders]
    random_state = np.random.get_state()[1].copy()  # noqa: NPY002
    level = logging.getLogger("scdiffot").level
    with _time_limit(), warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        try:
            outcome = Outcome(value=function(*arguments, **options))
        except OWN_ERRORS as error:
            check_own(error)
            outcome = Outcome(error=error)
    messages = [
        f"{w.category.__name__}: {w.message} ({w.filename})"
        for w in records
        if not issubclass(w.category, HIDDEN)
    ]
    assert not messages, f"warnings reach the user: {messages}"
    advanced = (np.random.get_state()[1] != random_state).any()  # noqa: NPY002
    assert not advanced, "the global generator of NumPy has advanced"
    assert logging.getLogger("scdiffot").level == level
    if outcome.error is not None or options.get("copy"):
        for adata, content in zip(holders, contents, strict=True):
            new_content = fingerprint(adata)
            parts = [part for part in content if content[part] != new_content[part]]
            assert not parts, f"{parts} changed, although {outcome.error!r}"
    return outcome


def check_own(error: Exception) -> None:
    """Check that an error comes from a `raise` in the package and names an argument."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    source = linecache.getline(frame.filename, frame.lineno or 0).strip()
    from_package = frame.filename.startswith(PACKAGE) and source.startswith("raise ")
    message = str(error)
    trace = "".join(traceback.format_exception(error))
    assert from_package, f"a foreign error reaches the user:\n{trace}"
    assert "`" in message or "adata" in message, f"the error names no argument: {message}"
    assert not isinstance(error, UnicodeError), trace


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise HangError(f"no answer after {TIME_LIMIT} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(TIME_LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
