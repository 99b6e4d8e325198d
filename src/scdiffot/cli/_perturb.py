"""`scdiffot perturb`: from a file with a fit to a file with what a change of genes does."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ._common import BadInput, add_files, add_run, bad_input, finish, make_table, read

if TYPE_CHECKING:
    from anndata import AnnData

N_NAMED = 4


def add_perturb(commands: Any) -> None:
    """Add the command and its options."""
    perturb = commands.add_parser(
        "perturb",
        help="change genes of the cells of a fit, and follow them to their fates",
        description="Change genes of the cells of a fitted .h5ad file, compare their fates with those of the unchanged cells, and write "
        "the file with the result to another. See scdiffot.tl.perturb for what the options mean.",
    )
    add_files(perturb, "cells with a fit, as `scdiffot fit` writes them")
    perturb.add_argument(
        "--genes",
        required=True,
        nargs="+",
        type=_changes,
        metavar="GENE[=VALUE]",
        help="genes that are changed together, with values or by --kind; commas separate them, too",
    )
    perturb.add_argument("--cell-key", required=True, metavar="KEY", help="column of obs with the cell types")
    perturb.add_argument(
        "--kind",
        choices=("knockout", "knockdown", "overexpress"),
        default="knockout",
        help="what happens to genes without a value (%(default)s)",
    )
    perturb.add_argument("--factor", type=float, metavar="X", help="factor of a knock-down or over-expression")
    perturb.add_argument("--sustained", action="store_true", help="hold the genes along the whole way")
    perturb.add_argument(
        "--source", metavar="S", help="cells to change: label of a time, query of obs, or name of a cell (first time)"
    )
    perturb.add_argument("--target-time", metavar="T", help="label of the time of the fates (last time)")
    perturb.add_argument("--n-trajectories", type=int, default=100, metavar="N", help="paths of a cell (%(default)s)")
    perturb.add_argument("--no-growth", action="store_true", help="do not count that cells divide and die")
    perturb.add_argument("--name", metavar="NAME", help="name of the result (the genes)")
    add_run(perturb)
    perturb.set_defaults(run=_perturb)


def _changes(text: str) -> list[tuple[str, float | None]]:
    found: list[tuple[str, float | None]] = []
    for part in text.split(","):
        gene, equals, value = part.strip().rpartition("=")
        try:
            found.append((gene, float(value)) if equals else (value, None))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} is not GENE or GENE=VALUE with a number") from None
    return found


def _perturb(arguments: argparse.Namespace) -> None:
    changes = [change for part in arguments.genes for change in part]
    genes = dict(changes)
    if len(genes) < len(changes):
        raise BadInput("--genes names a gene twice")
    name = arguments.name or "+".join(genes)
    adata = read(arguments.file, arguments.out)
    from scdiffot import tl

    with bad_input():
        tl.perturb(
            adata,
            genes,
            arguments.cell_key,
            kind=arguments.kind,
            factor=arguments.factor,
            sustained=arguments.sustained,
            source=arguments.source,
            target_time=arguments.target_time,
            n_trajectories=arguments.n_trajectories,
            growth=False if arguments.no_growth else None,
            name=name,
            rng=arguments.rng,
            key=arguments.key,
            show_progress=not arguments.quiet,
        )
    finish(adata, arguments.out, None if arguments.quiet else lambda: _summary(adata, name, arguments.key))


def _summary(adata: AnnData, name: str, key: str) -> Any:
    """A line for every type of the source cells, with the fates that change most."""
    from scdiffot import get

    table = get.perturbation(adata, name, key=key)
    rows = []
    for source, part in table.groupby("source", sort=False):
        largest = part.reindex(part["shift"].abs().sort_values(ascending=False).index)
        largest = largest[largest["shift"].abs() >= 0.005].head(N_NAMED)
        shifts = ", ".join(f"{row.fate} {row.shift:+.2f} ± {row.se:.2f}" for row in largest.itertuples())
        first = part.iloc[0]
        rows.append((str(source), f"{first['n_cells']}", f"× {first['mass_ratio']:.2f}", shifts))
    return make_table(f"Change of the fates: {name}", ("source", "cells", "descendants", "fates"), rows, right=(1, 2))
