"""`scdiffot perturb`: from a file with a fit to a file with the effects of a gene perturbation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffot.cli._common import COMMAS, add_files, add_paths, add_run, make_table
from scdiffot.cli._errors import BadInput, bad_input
from scdiffot.cli._lists import genes_and_values

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot.cli._job import Job

MAX_FATES = 4


def add_perturb(commands: Any) -> None:
    """Add the command and its options."""
    perturb = commands.add_parser(
        "perturb",
        help="change genes of the cells of a fit, and follow them to their fates",
        description="Change genes of the cells of a fit, compare their fates with those of the "
        "unchanged cells, and write the cells with the result to another file. See "
        "scdiffot.tl.perturb for the options.",
    )
    add_files(
        perturb, "cells with a fit, as `scdiffot fit` writes them", "the change of every fate"
    )
    perturb.add_argument(
        "--genes",
        required=True,
        action="append",
        type=genes_and_values,
        metavar="GENE[=VALUE]",
        help=f"genes that are changed together, with values or by --kind; {COMMAS}",
    )
    add_paths(perturb, "change", default="first time")
    perturb.add_argument(
        "--kind",
        choices=("knockout", "knockdown", "overexpress"),
        default="knockout",
        help="perturbation of genes without a value (%(default)s)",
    )
    perturb.add_argument(
        "--factor", type=float, metavar="X", help="factor of a knock-down or over-expression"
    )
    perturb.add_argument(
        "--sustained", action="store_true", help="hold the genes along the whole trajectory"
    )
    perturb.add_argument("--name", metavar="NAME", help="name of the result (the genes)")
    add_run(perturb)
    perturb.set_defaults(run=_perturb)


def _perturb(job: Job) -> int:
    arguments = job.arguments
    changes = [change for part in arguments.genes for change in part]
    genes = dict(changes)
    if len(genes) < len(changes):
        raise BadInput("--genes names a gene twice")
    name = arguments.name or "+".join(genes)
    adata = job.read()
    from scdiffot import get, tl

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
            show_progress=job.show_progress,
        )
    return job.finish(
        adata,
        table=lambda: get.perturbation(adata, name, key=arguments.key),
        summary=lambda: _summary(adata, name, arguments.key),
    )


def _summary(adata: AnnData | MuData, name: str, key: str) -> Any:
    """Make a table of the fates that change most, with a row for each type of source cells."""
    from scdiffot import get

    table = get.perturbation(adata, name, key=key)
    rows = []
    for source, part in table.groupby("source", sort=False):
        largest = part.reindex(part["shift"].abs().sort_values(ascending=False).index)
        largest = largest[largest["shift"].abs() >= 0.005].head(MAX_FATES)
        shifts = ", ".join(
            f"{row.fate} {row.shift:+.2f} ± {row.se:.2f}" for row in largest.itertuples()
        )
        first = part.iloc[0]
        rows.append((str(source), f"{first['n_cells']}", f"× {first['mass_ratio']:.2f}", shifts))
    return make_table(
        f"Change of the fates: {name}",
        ("source", "cells", "descendants", "fates"),
        rows,
        right=(1, 2),
    )
