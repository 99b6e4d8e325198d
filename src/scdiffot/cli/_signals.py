"""Handling of Ctrl-C and of terminating signals while a command runs."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

# Windows has no SIGHUP
FATAL = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(BaseException):
    """Request to end the process, with the number of the signal as its argument."""


class Signals:
    """Context that converts signals to exceptions, so that temporary files are removed.

    A signal that the caller ignores, as under ``nohup``, stays ignored.

    Attributes
    ----------
    interrupted
        Whether there was a Ctrl-C, including one that a fit caught to keep its best state.
    final
        Whether results are being moved to their destinations; signals are then ignored.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self.final = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python runs handlers in the main thread only
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._install(signal.SIGINT, self._interrupt)
            for number in FATAL:
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._install(number, self._terminate)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _install(self, number: int, handler: Callable[[int, Any], None]) -> None:
        self._previous[number] = signal.signal(number, handler)

    def _interrupt(self, number: int, frame: Any) -> None:
        if not self.final:
            self.interrupted = True
            raise KeyboardInterrupt

    def _terminate(self, number: int, frame: Any) -> None:
        if not self.final:
            raise Terminated(number)
