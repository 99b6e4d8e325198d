"""`scdiffot fit`: from a file of snapshots to a file with a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from scdiffot.cli._common import COMMAS, add_files, add_keep_interrupted, add_seed, check_device
from scdiffot.cli._errors import BadInput, bad_input
from scdiffot.cli._lists import column_labels, labels_and_times, number_or_auto, split_labels

if TYPE_CHECKING:
    import argparse

    from scdiffot.cli._job import Job


def add_fit(commands: Any) -> None:
    """Add the command and its options."""
    fit = commands.add_parser(
        "fit",
        help="fit the time course in a file",
        description="Fit the time course in a file and write it, with velocities, growth and the "
        "model, to another. See scdiffot.tl.fit for the options.",
    )
    add_files(fit, "cells of all snapshots", "the accuracy at every snapshot")
    _add_data_options(fit)
    _add_model_options(fit)
    fit.add_argument(
        "--held-out", action="append", metavar="LABEL", help=f"time points to leave out; {COMMAS}"
    )
    fit.add_argument("--n-steps", type=int, metavar="N", help="optimisation steps")
    add_seed(fit)
    fit.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda, ... (%(default)s)"
    )
    fit.add_argument(
        "--key-added", default="scdiffot", metavar="NAME", help="name of the fit (%(default)s)"
    )
    fit.add_argument(
        "--validate", action="store_true", help="also leave inner time points out in turn"
    )
    add_keep_interrupted(fit)
    fit.set_defaults(run=_fit)


def _add_data_options(fit: argparse.ArgumentParser) -> None:
    fit.add_argument(
        "--time-key", required=True, metavar="KEY", help="column of obs with the times"
    )
    fit.add_argument(
        "--time-map",
        action="append",
        type=labels_and_times,
        metavar="LABEL=TIME",
        help="times of labels that are not numbers, or 'auto' to read a common prefix and units; "
        f"{COMMAS}",
    )
    fit.add_argument(
        "--use-rep",
        default="X_pca",
        metavar="KEY",
        help="representation of the cells (%(default)s)",
    )
    fit.add_argument(
        "--n-dims", type=int, metavar="N", help="number of its dimensions to use (all)"
    )
    fit.add_argument(
        "--mass",
        choices=("n_cells", "equal"),
        default="n_cells",
        help="mass of a snapshot (%(default)s)",
    )


def _add_model_options(fit: argparse.ArgumentParser) -> None:
    fit.add_argument("--no-growth", action="store_true", help="cells neither divide nor die")
    fit.add_argument(
        "--sigma", type=number_or_auto, default="auto", metavar="X", help="diffusion (%(default)s)"
    )
    fit.add_argument(
        "--alpha",
        type=number_or_auto,
        default="auto",
        metavar="X",
        help="cost of growth (%(default)s)",
    )
    fit.add_argument(
        "--form",
        choices=("auto", "gradient", "separate"),
        default="auto",
        help="form of the fields (%(default)s)",
    )
    fit.add_argument(
        "--autonomous", action="store_true", help="drift and growth do not depend on time"
    )
    fit.add_argument(
        "--growth-prior", metavar="KEY", help="column of obs with expected growth rates"
    )
    fit.add_argument(
        "--spatial-key", metavar="KEY", help="positions in a tissue, to fit with the states"
    )
    fit.add_argument(
        "--spatial-weight",
        type=float,
        default=0.5,
        metavar="X",
        help="share of the positions in the variance (%(default)s)",
    )
    fit.add_argument(
        "--no-align", action="store_true", help="the slices of all times share a frame"
    )


def _merge_time_maps(parts: list[Any]) -> dict[str, float] | Literal["auto"] | None:
    if "auto" in parts:
        if len(parts) > 1:
            raise BadInput(
                "--time-map is 'auto' and something else: pass 'auto' alone, or the time of every "
                "label"
            )
        return "auto"
    pairs = [pair for part in parts for pair in part]
    if len(dict(pairs)) < len(pairs):
        raise BadInput("--time-map names a label twice")
    return dict(pairs) or None


def _fit(job: Job) -> int:
    arguments = job.arguments
    time_map = _merge_time_maps(arguments.time_map or [])
    check_device(arguments.device)
    adata = job.read()
    from scdiffot import tl
    from scdiffot.cli._accuracy import accuracy, accuracy_table, snapshot_table

    key = arguments.key_added
    labels = column_labels(adata, arguments.time_key)
    with bad_input():
        tl.fit(
            adata,
            arguments.time_key,
            use_rep=arguments.use_rep,
            n_dims=arguments.n_dims,
            time_map=time_map,
            mass=None if arguments.mass == "equal" else "n_cells",
            growth=not arguments.no_growth,
            sigma=arguments.sigma,
            alpha=arguments.alpha,
            form=arguments.form,
            autonomous=arguments.autonomous,
            growth_prior=arguments.growth_prior,
            held_out=split_labels(arguments.held_out, labels),
            spatial_key=arguments.spatial_key,
            spatial_weight=arguments.spatial_weight,
            spatial_align=not arguments.no_align,
            config=None if arguments.n_steps is None else {"train": {"n_steps": arguments.n_steps}},
            rng=arguments.rng,
            device=arguments.device,
            key_added=key,
            show_progress=job.show_progress,
        )
        interrupted = job.is_interrupted(adata.uns[key]["history"])
        if arguments.validate and not interrupted:
            tl.validate(adata, key=key, rng=arguments.rng, show_progress=job.show_progress)
    title = f"Fit of {arguments.file.name}"
    return job.finish(
        adata,
        table=lambda: snapshot_table(adata, key),
        summary=lambda: accuracy_table(title, accuracy(adata, key)),
        interrupted=interrupted,
    )
