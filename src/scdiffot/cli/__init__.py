"""Command line: `scdiffot demo`, `fit`, `fate`, `perturb`, `validate`, `interpolate`, `response`.

Commands import heavy packages only when they run, so that `--help` and usage errors are immediate.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from ._commands.demo import add_demo
from ._commands.fate import add_fate
from ._commands.fit import add_fit
from ._commands.interpolate import add_interpolate
from ._commands.perturb import add_perturb
from ._commands.response import add_response
from ._commands.validate import add_validate
from ._errors import BadInput
from ._job import INTERRUPTED, Job
from ._lists import separate_lists
from ._messages import show_warnings
from ._signals import Signals, Terminated

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

BAD_INPUT = 2
# exit code of a process ended by signal n, as shells report it: 128 + n
SIGNAL_OFFSET = 128

EPILOG = """exit codes: 0; 2 for bad input and for files that cannot be read or written, with one
line on the standard error; 130 after Ctrl-C. Results are written to a file .scdiffot-*.tmp beside
OUT and renamed when they are complete, so OUT is never an incomplete file. A command that is killed
leaves the temporary file, which can be removed."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(
            BAD_INPUT, f"{self.prog}: error: {' '.join(message.split())} (see {self.prog} --help)\n"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv
        Arguments; those of the process by default.

    Returns
    -------
    The exit code: 0; 2 for bad input, after one line on the standard error; 130 if interrupted; or
    128 plus the number of another signal that ended the command.

    See Also
    --------
    scdiffot.tl.fit : function behind ``scdiffot fit``.
    scdiffot.tl.sta_forward : function behind ``scdiffot fate``.
    """
    words = [str(word) for word in (sys.argv[1:] if argv is None else argv)]
    arguments = _parser().parse_args(separate_lists(words))
    with Signals() as signals, show_warnings(arguments.command, signals):
        try:
            return arguments.run(Job(arguments, signals))
        except BadInput as error:
            return _report(arguments, f"error: {error}", BAD_INPUT)
        except KeyboardInterrupt:
            return _report(arguments, "interrupted, and nothing is written", INTERRUPTED)
        except Terminated as error:
            return _report(
                arguments, "terminated, and nothing is written", SIGNAL_OFFSET + error.args[0]
            )


def _report(arguments: argparse.Namespace, message: str, code: int) -> int:
    sys.stderr.write(f"scdiffot {arguments.command}: {' '.join(message.split())}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="scdiffot",
        description="Single-cell dynamics from time-course snapshots.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        add_demo,
        add_fit,
        add_validate,
        add_interpolate,
        add_fate,
        add_perturb,
        add_response,
    ):
        add(commands)
    return parser


def _version() -> str:
    from importlib.metadata import version

    return version("scdiffot")
