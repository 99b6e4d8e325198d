"""User errors, which are reported in one line, and bugs, which keep their traceback."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dis import opmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class BadInput(Exception):
    """Input that a command cannot process; the message gives the reason."""


@contextmanager
def bad_input() -> Iterator[None]:
    """Convert errors that scdiffot raises to `BadInput`, which is reported in one line.

    Errors raised by other packages or by the interpreter indicate a bug in scdiffot and keep their
    traceback.
    """
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        if is_own(error):
            raise BadInput(text_of(error)) from error
        raise


def is_own(error: Exception) -> bool:
    """Return whether a `raise` statement of scdiffot raised the error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    module = str(trace.tb_frame.f_globals.get("__name__"))
    operation = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return module.partition(".")[0] == "scdiffot" and operation == opmap["RAISE_VARARGS"]


def text_of(error: Exception) -> str:
    """Return the message of an error; of HDF5 errors only the cause, without addresses."""
    cause = re.search(r"error message = '([^']+)'", str(error))
    if cause:
        return cause[1]
    if isinstance(error, OSError) and error.strerror and error.errno:
        return error.strerror
    # the text of a KeyError is the repr of its message
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    # anndata names the entry in a note
    return ". ".join([text or type(error).__name__, *getattr(error, "__notes__", ())])
