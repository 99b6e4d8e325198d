"""Warnings, written as single lines to the standard error."""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._signals import Signals


@contextmanager
def show_warnings(command: str, signals: Signals) -> Iterator[None]:
    """Show every warning as one line; deprecation and future warnings are ignored."""
    from scdiffot._utils.logging import logger

    def show(message: Any, *args: Any, **options: Any) -> None:
        logger.warning(" ".join(str(message).split()))

    handler = _OneLine(command)
    # after an interruption, the command itself reports whether the best state is written
    handler.addFilter(lambda record: not signals.interrupted)
    logger.addHandler(handler)
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", category)
        warnings.showwarning = show
        try:
            yield
        finally:
            logger.removeHandler(handler)


class _OneLine(logging.Handler):
    def __init__(self, command: str) -> None:
        super().__init__(logging.WARNING)
        self.command = command

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message."""
        message = " ".join(record.getMessage().split())
        sys.stderr.write(f"scdiffot {self.command}: warning: {message}\n")
