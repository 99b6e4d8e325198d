"""`scdiffot demo`: the main analysis, on simulated cells with known dynamics."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scdiffot.cli._common import add_seed
from scdiffot.cli._errors import BadInput, text_of

if TYPE_CHECKING:
    from anndata import AnnData

    from scdiffot.cli._accuracy import Row
    from scdiffot.cli._job import Job
    from scdiffot.core import Trajectories

FIGURES = (
    "history",
    "population",
    "velocity",
    "trajectories",
    "growth",
    "validation",
    "fate",
    "ancestry",
    "landscape",
)
CELLS, ACCURACY = "misa.h5ad", "accuracy.csv"


def add_demo(commands: Any) -> None:
    """Add the command and its options."""
    demo = commands.add_parser(
        "demo",
        help="simulate cells with known dynamics, fit them, and report the accuracy",
        description="Simulate two genes that inhibit each other, fit the snapshots, leave one out, "
        "follow cells to their fates and back to their ancestors, draw all figures, and print a "
        "table of accuracies. Takes a minute or two.",
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("scdiffot_demo"),
        metavar="DIR",
        help="folder for the results (%(default)s)",
    )
    add_seed(demo)
    demo.add_argument(
        "--overwrite", action="store_true", help="replace the files of an earlier demo"
    )
    demo.add_argument("--quiet", action="store_true", help="no progress and no summary")
    demo.set_defaults(run=_demo)


def _demo(job: Job) -> int:
    arguments = job.arguments
    _check_folder(arguments.out, overwrite=arguments.overwrite)
    from scdiffot import datasets, tl
    from scdiffot.cli._accuracy import accuracy, accuracy_table
    from scdiffot.cli._job import print_summary

    rng = arguments.rng
    job.report("Simulating cells")
    adata = datasets.misa(rng=rng)
    times = ", ".join(adata.obs["time_label"].cat.categories)
    job.report(f"Fitting {adata.n_obs} cells at the times {times}")
    # the gene network is autonomous; fewer steps than by default limit the demo to about a minute
    config = {"train": {"n_steps": 400}, "corrections": {"n_rounds": 4}}
    show = job.show_progress
    tl.fit(adata, "time", use_rep="X", autonomous=True, config=config, rng=rng, show_progress=show)
    if adata.uns["scdiffot"]["history"]["interrupted"]:
        raise KeyboardInterrupt
    job.report("Predicting a snapshot that was left out")
    tl.validate(adata, "time", times=2.0, rng=rng, show_progress=job.show_progress)
    paths = _analyse(adata, job)
    job.report("Drawing figures")
    rows = [*accuracy(adata, "scdiffot"), *_fate_accuracy(adata)]
    _write_all(job, adata, _draw_all(adata, paths), rows)
    if not arguments.quiet:
        names = ", ".join(sorted(_names()))
        print_summary(accuracy_table("Accuracy", rows), f"Written to {arguments.out}: {names}")
    return 0


def _names() -> list[str]:
    return [*(f"{name}.png" for name in FIGURES), CELLS, ACCURACY]


def _check_folder(out: Path, *, overwrite: bool) -> None:
    """Make the folder of the results, and raise an error if files would be lost."""
    from scdiffot._data.files.atomic import check_folder

    try:
        out.mkdir(parents=True, exist_ok=True)
        check_folder(out)
    except OSError as error:
        raise BadInput(f"--out is {out}, where no folder can be made: {text_of(error)}") from error
    for path in (out / name for name in _names()):
        if path.is_dir():
            raise BadInput(f"{path} is a folder: name another folder with --out")
        if path.exists() and not overwrite:
            raise BadInput(
                f"{path} exists: name another folder with --out, or pass --overwrite to replace it"
            )


def _analyse(adata: AnnData, job: Job) -> Trajectories:
    """Compute fates, ancestors and the landscape; return trajectories from the first time."""
    from scdiffot import tl

    rng, show = job.arguments.rng, job.show_progress
    job.report("Following cells to their fates")
    paths = tl.simulate(adata, t0=0, n_particles=500, kind="sde", rng=rng)
    last = float(adata.obs["time"].max())
    tl.sta_forward(
        adata, "cell_type", f"time < {last}", n_trajectories=50, rng=rng, show_progress=show
    )
    job.report("Following cells back to their ancestors")
    # at time 2, the two fates have not separated yet
    tl.sta_backward(adata, "cell_type", target_time=2.0, rng=rng, show_progress=show)
    tl.landscape(adata, cell_key="cell_type", rng=rng)
    return paths


def _write_all(job: Job, adata: AnnData, figures: dict[str, Any], rows: list[Row]) -> None:
    """Write all files in one transaction."""
    import matplotlib.pyplot as plt
    import pandas as pd

    from scdiffot._data.files.atomic import Transaction
    from scdiffot._data.files.formats import write_cells, write_table

    out = job.arguments.out
    table = pd.DataFrame(rows, columns=["quantity", "scdiffot", "reference", "reference_value"])
    with Transaction(overwrite=job.arguments.overwrite) as results:
        for name, figure in figures.items():
            job.add(results, out / f"{name}.png", partial(figure.savefig, dpi=120, format="png"))
            plt.close(figure)
        job.add(results, out / CELLS, lambda path: write_cells(adata, path, ".h5ad"))
        job.add(results, out / ACCURACY, lambda path: write_table(table, path, ".csv"))
        job.commit(results)


def _fate_accuracy(adata: AnnData) -> list[Row]:
    """Compare the fates of the first cells with the last snapshot, their descendants."""
    import numpy as np

    time = adata.obs["time"]
    first, last = adata.obs[time == time.min()].index, adata.obs[time == time.max()]
    sizes = adata.obs.loc[first, "scdiffot_n_descendants"].to_numpy()
    shares = np.average(adata.obsm["scdiffot_fate"].loc[first], axis=0, weights=sizes)
    rows: list[Row] = [
        (
            "descendants of the first cells: number",
            float(sizes.mean()),
            "observed",
            len(last) / len(first),
        )
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


def _draw_all(adata: AnnData, paths: Trajectories) -> dict[str, Any]:
    """Draw all figures, by name."""
    import matplotlib as mpl

    mpl.use("agg")
    from scdiffot import pl

    options: dict[str, dict[str, Any]] = {
        "population": {"paths": paths},
        "velocity": {"color": "cell_type"},
        "trajectories": {"paths": paths, "by": "fate"},
        "landscape": {"kind": "surface", "paths": paths},
    }
    return {
        name: getattr(pl, name)(adata, return_fig=True, **options.get(name, {})) for name in FIGURES
    }
