"""`scdiffot demo`: the main job, on cells whose dynamics are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._common import BadInput, seed

if TYPE_CHECKING:
    import argparse

    from anndata import AnnData

    from scdiffot.core import Trajectories

    from ._accuracy import Row


def add_demo(commands: Any) -> None:
    """Add the command and its options."""
    demo = commands.add_parser(
        "demo",
        help="simulate cells with known dynamics, fit them, and report how well that went",
        description="Simulate two genes that inhibit each other, fit the snapshots, leave one out, follow cells to their "
        "fates and back to their ancestors, draw all figures, and print a table of accuracies. Takes a minute or two.",
    )
    demo.add_argument(
        "--out", type=Path, default=Path("scdiffot_demo"), metavar="DIR", help="folder for the results (%(default)s)"
    )
    demo.add_argument("--rng", type=seed, default=0, metavar="N", help="seed (%(default)s)")
    demo.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> None:
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--out is {arguments.out}, where no folder can be made: {error.strerror}") from error
    from rich.console import Console

    from scdiffot import datasets, tl

    from ._accuracy import accuracy, accuracy_table, write_csv

    console = Console()
    adata = datasets.misa(rng=arguments.rng)
    console.print(
        f"Simulated {adata.n_obs} cells at the times {', '.join(adata.obs['time_label'].cat.categories)}.",
        highlight=False,
    )
    # a gene network does not change with the clock; fewer steps than by default, for a demo is to take a minute
    tl.fit(adata, "time", use_rep="X", autonomous=True, n_steps=400, n_corrections=4, rng=arguments.rng)
    tl.validate(adata, "time", times=2.0, rng=arguments.rng)
    paths = tl.simulate(adata, t0=0, n_particles=500, kind="sde", rng=arguments.rng)
    last = float(adata.obs["time"].max())
    tl.sta_forward(adata, "cell_type", f"time < {last}", n_trajectories=50, rng=arguments.rng)
    # where on the way the two fates were still together
    tl.sta_backward(adata, "cell_type", target_time=2.0, rng=arguments.rng)
    tl.landscape(adata, cell_key="cell_type", rng=arguments.rng)
    _draw_all(adata, paths, arguments.out)
    adata.write_h5ad(arguments.out / "misa.h5ad")
    rows = [*accuracy(adata, "scdiffot"), *_fates(adata)]
    write_csv(rows, arguments.out / "accuracy.csv")
    console.print(accuracy_table("Accuracy", rows))
    names = sorted(path.name for path in arguments.out.iterdir())
    console.print(f"Written to {arguments.out}: {', '.join(names)}", soft_wrap=True, highlight=False)


def _fates(adata: AnnData) -> list[Row]:
    """Fates of the first cells, beside the last snapshot: all of it descends from them."""
    import numpy as np

    time = adata.obs["time"]
    first, last = adata.obs[time == time.min()].index, adata.obs[time == time.max()]
    sizes = adata.obs.loc[first, "scdiffot_n_descendants"].to_numpy()
    shares = np.average(adata.obsm["scdiffot_fate"].loc[first], axis=0, weights=sizes)
    rows: list[Row] = [
        ("descendants of the first cells: number", float(sizes.mean()), "observed", len(last) / len(first))
    ]
    for name, share in zip(adata.obsm["scdiffot_fate"].columns, shares, strict=True):
        if name in ("X", "Y"):
            rows.append(
                (
                    f"descendants of the first cells: share of {name}",
                    float(share),
                    "observed",
                    (last["cell_type"] == name).mean(),
                )
            )
    return rows


def _draw_all(adata: AnnData, paths: Trajectories, out: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    from scdiffot import pl

    figures: dict[str, Any] = {
        "history": pl.history(adata, return_fig=True),
        "population": pl.population(adata, paths, return_fig=True),
        "velocity": pl.velocity(adata, color="cell_type", return_fig=True),
        "trajectories": pl.trajectories(adata, paths, by="fate", return_fig=True),
        "growth": pl.growth(adata, return_fig=True),
        "validation": pl.validation(adata, return_fig=True),
        "fate": pl.fate(adata, return_fig=True),
        "ancestry": pl.ancestry(adata, return_fig=True),
        "landscape": pl.landscape(adata, kind="surface", paths=paths, return_fig=True),
    }
    for name, figure in figures.items():
        figure.savefig(out / f"{name}.png", dpi=120)
        plt.close(figure)
