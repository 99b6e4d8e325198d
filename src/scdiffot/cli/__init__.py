"""The command line: `scdiffot demo`, `fit`, `fate` and `perturb`.

Nothing heavy is imported before a command runs, so that `--help` and a bad command line answer at once.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from ._common import BadInput
from ._demo import add_demo
from ._fate import add_fate
from ._fit import add_fit
from ._perturb import add_perturb

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

BAD_INPUT = 2
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv
        Arguments; those of the process by default.

    Returns
    -------
    The exit code: 0, 2 for bad input (after one line on the standard error), or 130 if interrupted.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except BadInput as error:
        message = " ".join(str(error).split())
        sys.stderr.write(f"scdiffot {arguments.command}: error: {message}\n")
        return BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write(f"scdiffot {arguments.command}: interrupted\n")
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="scdiffot", description="Single-cell dynamics from time-course snapshots.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (add_demo, add_fit, add_fate, add_perturb):
        add(commands)
    return parser


def _version() -> str:
    from importlib.metadata import version

    return version("scdiffot")
