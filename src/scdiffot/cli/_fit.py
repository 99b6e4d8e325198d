"""`scdiffot fit`: from a file of snapshots to a file with a fit."""

from __future__ import annotations

import argparse
from typing import Any

from ._common import add_files, bad_input, finish, read, seed


def add_fit(commands: Any) -> None:
    """Add the command and its options."""
    fit = commands.add_parser(
        "fit",
        help="fit the time course in a file",
        description="Fit the time course in an .h5ad file and write it, with velocities, growth and the model, to another. "
        "See scdiffot.tl.fit for what the options mean.",
    )
    add_files(fit, "cells of all snapshots")
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
        "--form", choices=("auto", "gradient", "separate"), default="auto", help="form of the fields (%(default)s)"
    )
    fit.add_argument("--autonomous", action="store_true", help="drift and growth do not depend on time")
    fit.add_argument("--growth-prior", metavar="KEY", help="column of obs with expected growth rates")
    fit.add_argument("--spatial-key", metavar="KEY", help="positions in a tissue, to fit with the states")
    fit.add_argument(
        "--spatial-weight",
        type=float,
        default=0.5,
        metavar="X",
        help="share of the positions in the variance (%(default)s)",
    )
    fit.add_argument("--no-align", action="store_true", help="the slices of all times share a frame")
    fit.add_argument("--held-out", nargs="+", metavar="LABEL", help="time points to leave out")
    fit.add_argument("--n-steps", type=int, metavar="N", help="optimisation steps")
    fit.add_argument("--rng", type=seed, default=0, metavar="N", help="seed (%(default)s)")
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
    adata = read(arguments.file, arguments.out)
    from scdiffot import tl

    from ._accuracy import accuracy, accuracy_table

    with bad_input():
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
            spatial_key=arguments.spatial_key,
            spatial_weight=arguments.spatial_weight,
            spatial_align=not arguments.no_align,
            n_steps=arguments.n_steps,
            rng=arguments.rng,
            device=arguments.device,
            key_added=arguments.key_added,
            show_progress=not arguments.quiet,
        )
        if arguments.validate:
            tl.validate(adata, key=arguments.key_added, rng=arguments.rng, show_progress=not arguments.quiet)
    title = f"Fit of {arguments.file.name}"
    summary = None if arguments.quiet else lambda: accuracy_table(title, accuracy(adata, arguments.key_added))
    finish(adata, arguments.out, summary)
