"""The command line: `scdiffot demo` and `scdiffot fit`.

Nothing heavy is imported before a command runs, so that `--help` and a bad command line answer at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from .core import Trajectories

BAD_INPUT = 2
INTERRUPTED = 130


class BadInput(Exception):
    """What the user asked for cannot be done; the message says why."""


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
    _add_demo(commands)
    _add_fit(commands)
    return parser


def _version() -> str:
    from importlib.metadata import version

    return version("scdiffot")


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo",
        help="simulate cells with known dynamics, fit them, and report how well that went",
        description="Simulate two genes that inhibit each other, fit the snapshots, leave snapshots out, follow cells, draw all "
        "figures, and print a table of accuracies. Takes a minute or two.",
    )
    demo.add_argument(
        "--out", type=Path, default=Path("scdiffot_demo"), metavar="DIR", help="folder for the results (%(default)s)"
    )
    demo.add_argument("--rng", type=int, default=0, metavar="N", help="seed (%(default)s)")
    demo.set_defaults(run=_demo)


def _add_fit(commands: Any) -> None:
    fit = commands.add_parser(
        "fit",
        help="fit the time course in a file",
        description="Fit the time course in an .h5ad file and write it, with velocities, growth and the model, to another. "
        "See scdiffot.tl.fit for what the options mean.",
    )
    fit.add_argument("file", type=Path, metavar="FILE.h5ad", help="cells of all snapshots")
    fit.add_argument("-o", "--out", type=Path, required=True, metavar="OUT.h5ad", help="where to write")
    fit.add_argument("--time-key", required=True, metavar="KEY", help="column of obs with the times")
    fit.add_argument(
        "--time-map", nargs="+", type=_label_and_time, metavar="LABEL=TIME", help="times of labels that are no numbers"
    )
    fit.add_argument("--use-rep", default="X_pca", metavar="KEY", help="representation of the cells (%(default)s)")
    fit.add_argument("--n-dims", type=int, metavar="N", help="number of its dimensions to use (all)")
    fit.add_argument("--mass", choices=("n_cells", "equal"), default="n_cells", help="mass of a snapshot (%(default)s)")
    fit.add_argument("--no-growth", action="store_true", help="cells neither divide nor die")
    fit.add_argument("--sigma", type=_number_or_auto, default="auto", metavar="X", help="diffusion (%(default)s)")
    fit.add_argument("--alpha", type=_number_or_auto, default="auto", metavar="X", help="price of growth (%(default)s)")
    fit.add_argument(
        "--form", choices=("separate", "gradient"), default="separate", help="form of the fields (%(default)s)"
    )
    fit.add_argument("--autonomous", action="store_true", help="drift and growth do not depend on time")
    fit.add_argument("--growth-prior", metavar="KEY", help="column of obs with expected growth rates")
    fit.add_argument("--held-out", nargs="+", metavar="LABEL", help="time points to leave out")
    fit.add_argument("--n-steps", type=int, metavar="N", help="optimisation steps")
    fit.add_argument("--rng", type=int, default=0, metavar="N", help="seed (%(default)s)")
    fit.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, ... (%(default)s)")
    fit.add_argument("--key-added", default="scdiffot", metavar="NAME", help="name of the fit (%(default)s)")
    fit.add_argument("--validate", action="store_true", help="also leave inner time points out in turn")
    fit.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
    fit.set_defaults(run=_fit)


def _number_or_auto(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor 'auto'") from None


def _label_and_time(text: str) -> tuple[str, float]:
    label, _, time = text.rpartition("=")
    try:
        return label, float(time)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LABEL=TIME with a number") from None


def _fit(arguments: argparse.Namespace) -> None:
    _check_files(arguments.file, arguments.out)
    from anndata import read_h5ad
    from rich.console import Console

    from . import tl

    try:
        adata = read_h5ad(arguments.file)
    except (OSError, KeyError, ValueError) as error:
        raise BadInput(f"{arguments.file} cannot be read as .h5ad: {_text(error)}") from error
    try:
        tl.fit(
            adata,
            arguments.time_key,
            use_rep=arguments.use_rep,
            n_dims=arguments.n_dims,
            time_map=dict(arguments.time_map) if arguments.time_map else None,
            mass=None if arguments.mass == "equal" else "n_cells",
            growth=not arguments.no_growth,
            sigma=arguments.sigma,
            alpha=arguments.alpha,
            form=arguments.form,
            autonomous=arguments.autonomous,
            growth_prior=arguments.growth_prior,
            held_out=arguments.held_out,
            n_steps=arguments.n_steps,
            rng=arguments.rng,
            device=arguments.device,
            key_added=arguments.key_added,
            show_progress=not arguments.quiet,
        )
        if arguments.validate:
            tl.validate(adata, key=arguments.key_added, rng=arguments.rng, show_progress=not arguments.quiet)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(_text(error)) from error
    adata.write_h5ad(arguments.out)
    if not arguments.quiet:
        console = Console()
        console.print(_table(f"Fit of {arguments.file.name}", _accuracy(adata, arguments.key_added)))
        console.print(f"Written to {arguments.out}", soft_wrap=True, highlight=False)


def _check_files(source: Path, out: Path) -> None:
    if not source.is_file():
        raise BadInput(f"{source} is no file")
    if out.suffix != ".h5ad":
        raise BadInput(f"--out is {out}: name a file that ends with .h5ad")
    if not out.parent.is_dir():
        raise BadInput(f"the folder {out.parent} of --out does not exist")


def _text(error: Exception) -> str:
    # the text of a KeyError is the repr of its message
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


def _demo(arguments: argparse.Namespace) -> None:
    if arguments.rng < 0:
        raise BadInput(f"--rng is {arguments.rng}: pass a seed that is zero or positive")
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--out is {arguments.out}, where no folder can be made: {error.strerror}") from error
    from rich.console import Console

    from . import datasets, tl

    console = Console()
    adata = datasets.misa(rng=arguments.rng)
    console.print(
        f"Simulated {adata.n_obs} cells at the times {', '.join(adata.obs['time_label'].cat.categories)}.",
        highlight=False,
    )
    # a gene network does not change with the clock
    tl.fit(adata, "time", use_rep="X", autonomous=True, rng=arguments.rng)
    tl.validate(adata, "time", rng=arguments.rng)
    paths = tl.simulate(adata, t0=0, n_particles=500, rng=arguments.rng)
    _draw_all(adata, paths, arguments.out)
    adata.write_h5ad(arguments.out / "misa.h5ad")
    rows = _accuracy(adata, "scdiffot")
    _write_csv(rows, arguments.out / "accuracy.csv")
    console.print(_table("Accuracy", rows))
    names = sorted(path.name for path in arguments.out.iterdir())
    console.print(f"Written to {arguments.out}: {', '.join(names)}", soft_wrap=True, highlight=False)


def _draw_all(adata: AnnData, paths: Trajectories, out: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    from . import pl

    figures: dict[str, Any] = {
        "history": pl.history(adata, return_fig=True),
        "population": pl.population(adata, paths, return_fig=True),
        "velocity": pl.velocity(adata, color="cell_type", return_fig=True),
        "trajectories": pl.trajectories(adata, paths, return_fig=True),
        "growth": pl.growth(adata, return_fig=True),
        "validation": pl.validation(adata, return_fig=True),
    }
    for name, figure in figures.items():
        figure.savefig(out / f"{name}.png", dpi=150)
        plt.close(figure)


Row = tuple[str, float, str, float]


def _accuracy(adata: AnnData, key: str) -> list[Row]:
    """What was measured, its value, and what to compare it with."""
    history = adata.uns[key]["history"]
    rows: list[Row] = []
    later = list(zip(history["times"], history["w1"], history["w1_floor"], history["mass_error"], strict=True))[1:]
    rows += [(f"W1 of the roll-out at {t:g}", w1, "sampling noise", floor) for t, w1, floor, _ in later]
    rows += [(f"mass error at {t:g}", error, "exact", 0.0) for t, _, _, error in later]
    if "validation" in adata.uns[key]:
        table = adata.uns[key]["validation"]
        left_out = zip(table["time"], table["w1"], table["w1_mccann"], strict=True)
        rows += [(f"W1 of the left-out {t:g}", w1, "optimal transport", ot) for t, w1, ot in left_out]
    if "true_drift" in adata.obsm:
        rows.append(("drift: cosine with the truth", _cosine(adata, key), "exact", 1.0))
        rows.append(("growth: correlation with the truth", _correlation(adata, key), "exact", 1.0))
    return rows


def _cosine(adata: AnnData, key: str) -> float:
    import numpy as np

    found, true = (np.asarray(adata.obsm[name], dtype=np.float64) for name in (f"{key}_velocity", "true_drift"))
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(true, axis=1)
    return float(((found * true).sum(axis=1)[lengths > 0] / lengths[lengths > 0]).mean())


def _correlation(adata: AnnData, key: str) -> float:
    import numpy as np

    return float(np.corrcoef(adata.obs[f"{key}_growth"], adata.obs["true_growth"])[0, 1])


def _table(title: str, rows: list[Row]) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column("scdiffot", justify="right")
    table.add_column("to compare", justify="right")
    table.add_column("which is")
    for name, value, reference, at in rows:
        table.add_row(name, f"{value:.3g}", f"{at:.3g}", reference)
    return table


def _write_csv(rows: list[Row], path: Path) -> None:
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["quantity", "scdiffot", "reference", "reference_value"])
        writer.writerows(rows)
