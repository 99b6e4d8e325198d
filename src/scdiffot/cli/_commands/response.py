"""`scdiffot response`: from a file of treated and untreated cells to a file with responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffot.cli._common import (
    COMMAS,
    add_files,
    add_keep_interrupted,
    add_seed,
    check_device,
    make_table,
)
from scdiffot.cli._errors import bad_input
from scdiffot.cli._lists import column_labels, split_labels

if TYPE_CHECKING:
    import argparse

    import pandas as pd

    from scdiffot.cli._job import Job


def add_response(commands: Any) -> None:
    """Add the command and its options."""
    response = commands.add_parser(
        "response",
        help="learn the response of cells to a treatment, and predict it for each untreated cell",
        description="Learn the response to a treatment from treated and untreated cells, predict "
        "it for the untreated, and write the cells with the result to another file. See "
        "scdiffot.tl.fit_response and predict_response for the options.",
    )
    add_files(response, "treated and untreated cells", "the response of every cell")
    response.add_argument(
        "--condition-key", required=True, metavar="KEY", help="column of obs with the treatments"
    )
    response.add_argument(
        "--control", required=True, metavar="LABEL", help="its value in untreated cells"
    )
    response.add_argument(
        "--target",
        required=True,
        action="append",
        metavar="LABEL",
        help=f"its value in treated cells; {COMMAS}",
    )
    _add_fit_options(response)
    response.add_argument(
        "--predict", metavar="LABEL", help="the treatment to predict (the first --target)"
    )
    response.add_argument(
        "--dose", type=float, metavar="X", help="the dose to predict (the highest)"
    )
    response.add_argument(
        "--source",
        metavar="S",
        help="cells to predict for: query of obs, or name of a cell (the untreated)",
    )
    add_keep_interrupted(response)
    response.set_defaults(run=_response)


def _add_fit_options(response: argparse.ArgumentParser) -> None:
    response.add_argument(
        "--use-rep",
        default="X_pca",
        metavar="KEY",
        help="representation of the cells (%(default)s)",
    )
    response.add_argument(
        "--n-dims", type=int, metavar="N", help="number of its dimensions to use (all)"
    )
    response.add_argument(
        "--context", metavar="KEY", help="column of obs with donors, species or cell lines"
    )
    response.add_argument("--dose-key", metavar="KEY", help="column of obs with the doses")
    response.add_argument(
        "--unbalanced", action="store_true", help="cells die or divide under the treatment"
    )
    response.add_argument(
        "--mass",
        choices=("n_cells", "equal"),
        default="n_cells",
        help="mass by which survival is measured (%(default)s)",
    )
    response.add_argument(
        "--method", choices=("flow", "convex"), default="flow", help="model (%(default)s)"
    )
    response.add_argument(
        "--metric",
        choices=("auto", "learned", "euclidean"),
        default="auto",
        help="metric in which cells are compared (%(default)s)",
    )
    response.add_argument("--n-steps", type=int, metavar="N", help="optimisation steps")
    add_seed(response)
    response.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda, ... (%(default)s)"
    )
    response.add_argument(
        "--key-added", default="scdiffot", metavar="NAME", help="name of the response (%(default)s)"
    )


def _response(job: Job) -> int:
    arguments = job.arguments
    check_device(arguments.device)
    adata = job.read()
    from scdiffot import get, tl

    key = arguments.key_added
    labels = column_labels(adata, arguments.condition_key)
    targets = split_labels(arguments.target, labels) or []
    with bad_input():
        tl.fit_response(
            adata,
            arguments.condition_key,
            arguments.control,
            targets,
            use_rep=arguments.use_rep,
            n_dims=arguments.n_dims,
            context=arguments.context,
            dose_key=arguments.dose_key,
            unbalanced=arguments.unbalanced,
            mass=None if arguments.mass == "equal" else "n_cells",
            method=arguments.method,
            metric=arguments.metric,
            config=None if arguments.n_steps is None else {"train": {"n_steps": arguments.n_steps}},
            rng=arguments.rng,
            device=arguments.device,
            key_added=key,
            show_progress=job.show_progress,
        )
        interrupted = job.is_interrupted(adata.uns[f"{key}_response"]["history"])
        target = arguments.predict or targets[0]
        tl.predict_response(
            adata, target=target, dose=arguments.dose, source=arguments.source, key=key
        )
    table = get.response(adata, key=key)
    title = f"Response to {target}"
    return job.finish(
        adata, table=lambda: table, summary=lambda: _summary(title, table), interrupted=interrupted
    )


def _summary(title: str, table: pd.DataFrame) -> Any:
    """Make a table with quantiles over the cells, with a row for each quantity."""
    numbers = table.select_dtypes("number")
    rows = [
        (str(name), *(f"{value:.3g}" for value in values.quantile([0.1, 0.5, 0.9])))
        for name, values in numbers.items()
    ]
    names = (f"{len(table)} cells", "10 %", "median", "90 %")
    return make_table(title, names, rows, right=(1, 2, 3))
