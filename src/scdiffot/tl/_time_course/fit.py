"""Fit the dynamics of a time course."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._analysis.spatial_frame import find_site
from scdiffot._data.read.cautions import caution_course
from scdiffot._data.read.checks import given_options, writable
from scdiffot._data.read.snapshots import time_course
from scdiffot._data.write.store import check_free, make_params, write_fit
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.logging import logger
from scdiffot._utils.progress import progress_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core import FitConfig
from scdiffot.core import fit as fit_core
from scdiffot.core.nets.devices import resolve_device

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch
    from anndata import AnnData
    from mudata import MuData


def fit(
    adata: AnnData | MuData,
    time_key: str,
    *,
    use_rep: str = "X_pca",
    n_dims: int | None = None,
    time_map: Mapping[Any, float] | Literal["auto"] | None = None,
    mass: Literal["n_cells"] | Mapping[Any, float] | None = "n_cells",
    growth: bool = True,
    sigma: float | Literal["auto"] = "auto",
    alpha: float | Literal["auto"] = "auto",
    form: Literal["auto", "gradient", "separate"] = "auto",
    path: Literal["auto", "geodesic", "straight"] = "auto",
    autonomous: bool = False,
    growth_prior: str | np.ndarray | None = None,
    held_out: str | float | Iterable[str | float] | None = None,
    spatial_key: str | None = None,
    spatial_weight: float = 0.5,
    spatial_align: bool = True,
    n_steps: int | None = None,
    n_corrections: int | None = None,
    n_matching_steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    n_hidden: int | None = None,
    n_layers: int | None = None,
    n_landmarks: int | None = None,
    rng: int | np.random.Generator = 0,
    device: str | torch.device = "auto",
    key_added: str = DEFAULT,
    show_progress: bool = True,
    copy: bool = False,
) -> AnnData | MuData | None:
    r"""Learn drift, growth and density of a population from its snapshots.

    Regularised unbalanced optimal transport :cite:p:`Zhang2025`: of all densities :math:`p`, drifts :math:`b` and
    growth rates :math:`g` that pass through every snapshot with

    .. math::
        \partial_t p = - \nabla \cdot (p b) + \tfrac{\sigma^2}{2} \Delta p + g p,

    those of least action :math:`\iint (|b|^2 + \alpha g^2) \, p / 2`. Consecutive snapshots are coupled by entropic
    unbalanced optimal transport, and networks regress on the bridges between the coupled cells; no training goes through a
    simulation, but for the last part of autonomous fits. Results do not depend on the units of states and times.
    Where several cells sit exactly at the least or largest value of a column, as at zero expression, no path goes beyond it.

    Parameters
    ----------
    adata
        Cells of all snapshots.
    time_key
        Column of `adata.obs` with the time of every cell: numbers, durations (timedeltas, which are read in days), or
        labels that are plain numbers or that `time_map` translates. Times that are equal up to rounding are one.
    use_rep
        Representation of the cells: a key of `adata.obsm` (with or without its ``X_``), ``"X"``, a layer, or
        ``"modality:key"`` of a MuData.
    n_dims
        Number of its columns to use, from the first. All by default.
    time_map
        Time of every label in `time_key`, as a dict; labels with equal times are one time point. ``"auto"`` reads a
        common prefix (``day7``, ``E9.5``) and units (``6h``, ``1d``, ``week 3``, ``24hpf``), of which the smallest is
        the unit of time, and logs the result. Labels that are not clear, such as ``unassigned`` or ``E18`` beside
        ``P0``, are refused.
    mass
        Mass of every snapshot, up to a common factor: ``"n_cells"`` takes the number of cells, a dict (time or label ->
        mass) what was measured otherwise, None the same mass everywhere.
    growth
        Whether cells divide and die. Without growth, masses are ignored.
    sigma
        Diffusion, in state per square root of time; 0 is deterministic transport. ``"auto"`` takes the largest value that
        does not worsen the prediction of left-out snapshots: an upper bound, which is all that snapshots can tell. Autonomous
        fields cannot explain everything, and it is refined to the value at which they explain most.
    alpha
        Price of growth against motion, in squared state. ``"auto"`` reads it off the distances between snapshots.
    form
        Drift and growth from one potential (``"gradient"``), as least action demands, or ``"separate"``. ``"auto"`` is
        ``"gradient"``, unless `autonomous` or `growth_prior` ask for more than least action.
    path
        How paired cells travel: along the ``"geodesic"`` of least action, or ``"straight"`` at constant speed and growth
        rate. ``"auto"`` is the geodesic, unless straight paths predict left-out snapshots better.
    autonomous
        Drift and growth that depend on the state only, not on time, such as those of a gene network. Where that holds, growth is
        found much better, since all intervals tell of one law: simulated populations are matched to all snapshots at once, and
        the growth is as close to a linear function of the state as they allow.
    growth_prior
        Expected net growth rate of every cell, per unit of time: a column of `adata.obs` or an array of shape ``(n,)``.
    held_out
        Times (numbers) or labels (strings) of snapshots to leave out of the training. Here as everywhere, a label comes
        before a number that is written as text.
    spatial_key
        Key of `adata.obsm` with the positions of spots in a tissue. Expression and position then make up the state together, so
        that growth and drift are local, and the drift has a second part, the migration.
    spatial_weight
        Share of the positions in the variance of that state, between 0 and 1.
    spatial_align
        Whether to take out the rotation and the shift of each time point against the one before, which are those of the slide and
        not of cells, as :func:`scdiffot.tl.align_slices` does, mirror images included where the scores leave no doubt. What
        that has aligned is left as it is.
    n_steps
        Optimisation steps before the corrections. This and the seven options below have defaults that were measured.
    n_corrections
        Rounds in which the particles of the model itself are coupled with the snapshots, and trained on. Two snapshots need none, and
        have some only if `autonomous`.
    n_matching_steps
        Steps in which simulated populations are matched to the snapshots, if `autonomous`; 0 leaves that out.
    batch_size
        Points of bridges in every step.
    learning_rate
        Peak learning rate.
    n_hidden
        Width of the networks.
    n_layers
        Depth of the networks.
    n_landmarks
        Cells of a snapshot that take part in a coupling.
    rng
        Seed or generator. Equal seeds give equal results on one machine.
    device
        ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or a `torch.device`.
    key_added
        Name of the fit, and prefix of all that it writes.
    show_progress
        Whether to show a bar with the loss and the time left.
    copy
        Whether to return a copy instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Sets the following fields, for all cells, held-out ones too; ``d`` is the dimension of the state:

    `adata.obsm["{key_added}_velocity"]` : array of shape ``(n, d)``
        Drift: mean displacement of a cell per unit of time.
    `adata.obsm["{key_added}_migration"]` : array of shape ``(n, 2)``
        With `spatial_key`: the part of the drift that moves a cell in the tissue, in its coordinates per unit of time.
    `adata.obsm["{key_added}_aligned"]`, `adata.uns["{key_added}_slices"]`
        With `spatial_align`: coordinates in the frame of the first time point, in which the migration is, and the motions there,
        as from :func:`scdiffot.tl.align_slices`.
    `adata.obsm["{key_added}_flow"]` : array of shape ``(n, d)``
        Velocity of the probability flow, which moves the density without noise; state per time.
    `adata.obsm["{key_added}_score"]` : array of shape ``(n, d)``
        Gradient of the log-density, per state.
    `adata.obs["{key_added}_growth"]` : column
        Net growth rate, per unit of time.
    `adata.obs["{key_added}_potential"]` : column
        Negative log-density, in nats: low where cells are.
    `adata.uns["{key_added}"]` : dict
        ``params``, ``history`` (losses; distance to every snapshot beside its sampling noise, error of the mass) and
        ``state`` (the model, see :func:`scdiffot.get.model`): arrays, strings and numbers only.

    A cell whose states are ten times as far from all other cells but one as these are from their median is left out of the
    training, though it counts in the masses, and named in a warning. Warnings also name snapshots that could be samples of one
    population, masses that jump more than tenfold, many copies of cells, and a `growth_prior` that the masses overrule; the growth
    that the masses imply is logged, and stored in ``params`` as ``mass_folds`` and ``mass_rates``, for every interval.

    Interrupted (Ctrl-C), it keeps the best state so far and logs a warning; before the first steps it raises
    KeyboardInterrupt and writes nothing.

    Raises
    ------
    KeyError
        If a key, label or time does not exist.
    TypeError
        If an argument or an array has the wrong type.
    ValueError
        If the data or an option cannot be used: too few cells or times, missing or infinite values, labels without a
        time, masses that are not positive, duplicated names, a view; or if the training diverges. Nothing is written then.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> adata.obsm["scdiffot_velocity"].shape == adata.shape
    True
    """
    keys = Keys(key_added)
    options: dict[str, Any] = {
        "n_steps": n_steps,
        "n_corrections": n_corrections,
        "n_matching_steps": n_matching_steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "n_hidden": n_hidden,
        "n_layers": n_layers,
        "n_landmarks": n_landmarks,
    }
    config = FitConfig(
        growth=growth, sigma=sigma, alpha=alpha, form=form, path=path, autonomous=autonomous
    )
    # Expression and position diffuse differently: misfit in one of them would count as diffusion of both.
    config = replace(config, search_sigma=spatial_key is None)
    config = replace(config, **given_options(options))
    generator, where = as_generator(rng), resolve_device(device)
    adata = writable(adata, copy=copy)
    check_free(adata, keys)
    course = time_course(
        adata,
        time_key,
        use_rep=use_rep,
        n_dims=n_dims,
        time_map=time_map,
        mass=mass,
        growth_prior=growth_prior,
        held_out=held_out,
    )
    site = None
    if spatial_key is not None:
        site = find_site(
            adata,
            course,
            keys,
            spatial_key=spatial_key,
            weight=spatial_weight,
            align=spatial_align,
            show_progress=show_progress,
        )
        course = course.in_tissue(site.tissue, site.positions)
    caution_course(course, adata.obs_names, mass=mass, growth=config.growth)
    with progress_bar("Fit", show=show_progress) as callback:
        model, history = fit_core(
            course.snapshots, config, rng=generator, device=where, callback=callback
        )
    if history["interrupted"]:
        n_done = int(np.asarray(history["step"])[-1])
        logger.warning("Interrupted after %d steps: the best state so far is kept.", n_done)
    prior_key: str | None = keys.growth_prior
    prior = None
    if growth_prior is None or isinstance(growth_prior, str):
        prior_key = growth_prior
    else:
        prior = np.asarray(growth_prior)
    if site is not None:
        site.write(adata, keys)
    write_fit(
        adata,
        keys,
        fields=model.fields(course.states, course.times.values),
        params=make_params(course, mass=mass, time_map=time_map, growth_prior=prior_key, rng=rng),
        history=history,
        state=model.to_arrays(),
        growth_prior=prior,
        tissue=course.tissue,
        times=course.times,
    )
    return adata if copy else None
