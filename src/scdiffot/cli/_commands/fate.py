"""`scdiffot fate`: from a file with a fit to a file with the fates of its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffot.cli._common import add_files, add_paths, add_run, make_table
from scdiffot.cli._errors import bad_input

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot.cli._job import Job

MAX_FATES = 4


def add_fate(commands: Any) -> None:
    """Add the command and its options."""
    fate = commands.add_parser(
        "fate",
        help="follow the cells of a fit to their fates",
        description="Follow the cells of a fit, and write them, with the fates and numbers of "
        "their descendants, to another file. See scdiffot.tl.sta_forward for the options.",
    )
    add_files(fate, "cells with a fit, as `scdiffot fit` writes them", "the fates of every cell")
    add_paths(fate, "follow", default="all before the target")
    fate.add_argument(
        "--path", action="store_true", help="also write the probabilities of single paths"
    )
    add_run(fate)
    fate.set_defaults(run=_fate)


def _fate(job: Job) -> int:
    arguments = job.arguments
    adata = job.read()
    from scdiffot import get, tl

    with bad_input():
        tl.sta_forward(
            adata,
            arguments.cell_key,
            arguments.source,
            target_time=arguments.target_time,
            n_trajectories=arguments.n_trajectories,
            growth=False if arguments.no_growth else None,
            path=arguments.path,
            rng=arguments.rng,
            key=arguments.key,
            show_progress=job.show_progress,
        )
    return job.finish(
        adata,
        table=lambda: get.fate(adata, key=arguments.key),
        summary=lambda: _summary(adata, arguments.key),
    )


def _summary(adata: AnnData | MuData, key: str) -> Any:
    """Make a table with a row for each type of the source cells."""
    from scdiffot._data.read.columns import read_column
    from scdiffot._data.write.fate_tables import read_fate
    from scdiffot._utils.keys import Keys
    from scdiffot._utils.number_text import number_text

    params, tables = read_fate(adata, key)
    table = tables["fate"].dropna()
    rows = []
    types = read_column(adata, str(params["cell_key"]), "cell_key").loc[table.index]
    numbers = adata.obs.loc[table.index, Keys(key, "key").n_descendants]
    for name, members in table.groupby(types, observed=True):
        shares = members.mean().sort_values(ascending=False)
        largest = ", ".join(
            f"{fate} {share:.2f}" for fate, share in shares[shares >= 0.005][:MAX_FATES].items()
        )
        n_descendants = f"{numbers[members.index].mean():.2f}"
        rows.append((str(name), f"{len(members)}", n_descendants, largest))
    title = (
        f"Fates at {number_text(params['target_time'])} "
        f"(held-out accuracy of the classifier: {params['accuracy']:.2f})"
    )
    return make_table(
        title, (str(params["cell_key"]), "cells", "descendants", "fates"), rows, right=(1, 2)
    )
