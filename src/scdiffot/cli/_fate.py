"""`scdiffot fate`: from a file with a fit to a file with the fates of its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._common import add_files, add_run, bad_input, finish, make_table, read

if TYPE_CHECKING:
    import argparse

    from anndata import AnnData

N_NAMED = 4


def add_fate(commands: Any) -> None:
    """Add the command and its options."""
    fate = commands.add_parser(
        "fate",
        help="follow the cells of a fit to their fates",
        description="Follow the cells of a fitted .h5ad file, and write it, with the fates and numbers of their descendants, to "
        "another. See scdiffot.tl.sta_forward for what the options mean.",
    )
    add_files(fate, "cells with a fit, as `scdiffot fit` writes them")
    fate.add_argument("--cell-key", required=True, metavar="KEY", help="column of obs with the cell types")
    fate.add_argument(
        "--source",
        metavar="S",
        help="cells to follow: label of a time, query of obs, or name of a cell (all before the target)",
    )
    fate.add_argument("--target-time", metavar="T", help="label of the time of the fates (last time)")
    fate.add_argument("--n-trajectories", type=int, default=100, metavar="N", help="paths of a cell (%(default)s)")
    fate.add_argument("--no-growth", action="store_true", help="do not count that cells divide and die")
    fate.add_argument("--path", action="store_true", help="also write the probabilities of single paths")
    add_run(fate)
    fate.set_defaults(run=_fate)


def _fate(arguments: argparse.Namespace) -> None:
    adata = read(arguments.file, arguments.out)
    from scdiffot import tl

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
            show_progress=not arguments.quiet,
        )
    finish(adata, arguments.out, None if arguments.quiet else lambda: _summary(adata, arguments.key))


def _summary(adata: AnnData, key: str) -> Any:
    """A line for every type of the source cells."""
    from scdiffot._data.shares import read_fate
    from scdiffot._keys import Keys

    found, tables = read_fate(adata, key)
    table = tables["fate"].dropna()
    rows = []
    for name, members in adata.obs.loc[table.index].groupby(found["cell_key"], observed=True):
        shares = table.loc[members.index].mean().sort_values(ascending=False)
        largest = ", ".join(f"{fate} {share:.2f}" for fate, share in shares[shares >= 0.005][:N_NAMED].items())
        n_descendants = f"{members[Keys(key).n_descendants].mean():.2f}"
        rows.append((str(name), f"{len(members)}", n_descendants, largest))
    title = f"Fates at {found['target_time']:g} (held-out accuracy of the classifier: {found['accuracy']:.2f})"
    return make_table(title, (str(found["cell_key"]), "cells", "descendants", "fates"), rows, right=(1, 2))
