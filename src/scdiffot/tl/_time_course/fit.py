"""Fit the dynamics of a time course."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Unpack

from scdiffot._analysis.spatial_frame import add_positions
from scdiffot._data.read.cautions import warn_about_time_series
from scdiffot._data.read.checks import as_writable
from scdiffot._data.read.snapshots import read_time_series
from scdiffot._data.write.store import check_free
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.progress import progress_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core import FitConfig
from scdiffot.core import fit as fit_core
from scdiffot.core.nets.devices import resolve_device
from scdiffot.core.problem.config.arguments import OldArguments, read_config

from .store_fit import store_fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import torch
    from anndata import AnnData
    from mudata import MuData


@fill_parameters
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
    config: FitConfig | Mapping[str, Any] | None = None,
    rng: int | np.random.Generator = 0,
    device: str | torch.device = "auto",
    key_added: str = DEFAULT,
    show_progress: bool = True,
    copy: bool = False,
    **old_arguments: Unpack[OldArguments],
) -> AnnData | MuData | None:
    r"""Learn drift, growth and density of a population from its snapshots.

    The method is regularised unbalanced optimal transport (RUOT) :cite:p:`Zhang2025`. Among all
    densities :math:`p`, drifts :math:`b` and growth rates :math:`g` that pass through every
    snapshot with

    .. math::
        \partial_t p = - \nabla \cdot (p b) + \tfrac{\sigma^2}{2} \Delta p + g p,

    it finds those of least action :math:`\iint (|b|^2 + \alpha g^2) \, p / 2`. Consecutive
    snapshots are coupled by entropic unbalanced optimal transport, and networks regress on the
    bridges between the coupled cells. Training does not differentiate through a simulation, except
    in the last stage of autonomous fits. Results do not depend on the units of states and times. If
    several cells lie exactly at the minimum or maximum of a dimension (for example zero
    expression), that value is a reflecting boundary.

    Parameters
    ----------
    adata
        Cells of all snapshots.
    time_key
        Column of `adata.obs` with the time of every cell: numbers, durations (timedeltas, which are
        read in days), or labels that are plain numbers or that `time_map` translates. Times that
        are equal up to rounding are one time point.
    use_rep
        Representation of the cells: a key of `adata.obsm` (with or without its ``X_``), ``"X"``, a
        layer, or ``"modality:key"`` of a MuData.
    %(n_dims)s
    time_map
        Time of every label in `time_key`, as a dict; labels with equal times are one time point.
        ``"auto"`` reads a common prefix (``day7``, ``E9.5``) and units (``6h``, ``1d``, ``week 3``,
        ``24hpf``), of which the smallest is the unit of time, and logs the result. Ambiguous
        labels, such as ``unassigned``, or ``E18`` together with ``P0``, are refused.
    mass
        Mass of every snapshot, up to a common factor: ``"n_cells"`` takes the number of cells, a
        dict (time or label -> mass) takes independent measurements, None takes equal masses.
    growth
        Whether cells divide and die. Without growth, masses are ignored.
    sigma
        Diffusion, in state per square root of time; 0 is deterministic transport. ``"auto"`` takes
        the largest value that does not worsen the prediction of left-out snapshots. This value is
        an upper bound, because snapshots do not identify more. For autonomous fields, which cannot
        explain every change, it is refined to the value at which they explain most.
    alpha
        Cost of growth relative to motion, in squared state. ``"auto"`` derives it from the
        distances between snapshots.
    form
        ``"gradient"`` derives drift and growth from one potential, as least action requires;
        ``"separate"`` learns them separately. ``"auto"`` is ``"gradient"``, unless `autonomous` or
        `growth_prior` require more than least action.
    path
        Path between paired cells: the ``"geodesic"`` of least action, or ``"straight"`` at constant
        speed and growth rate. ``"auto"`` is the geodesic, unless straight paths predict left-out
        snapshots better.
    autonomous
        Whether drift and growth depend on the state only, not on time, as in a gene network. If
        this holds, growth is better identified, because all intervals constrain the same function:
        simulated populations are matched to all snapshots at once, and the growth is as close to a
        linear function of the state as the snapshots allow.
    growth_prior
        Expected net growth rate of every cell, per unit of time: a column of `adata.obs` or an
        array of shape ``(n,)``.
    held_out
        Times (numbers) or labels (strings) of snapshots to exclude from training. In every
        argument, a label takes precedence over a number that is written as text.
    spatial_key
        Key of `adata.obsm` with the positions of spots in a tissue. Expression and position then
        form the state together: growth and drift are local, and the drift has a second part, the
        migration.
    spatial_weight
        Share of the positions in the variance of that state, between 0 and 1.
    spatial_align
        Whether to remove the rotation and the shift of each time point relative to the previous
        one, which belong to the slide and not to the cells, as :func:`scdiffot.tl.align_slices`
        does. Mirror images are reversed where the scores are unambiguous. Coordinates that
        :func:`~scdiffot.tl.align_slices` wrote are not aligned again.
    config
        All other settings, as a dict of those that differ from the defaults, such as
        ``{"train": {"n_steps": 400}, "corrections": {"n_rounds": 0}}``, or a
        :class:`~scdiffot.core.FitConfig`. :doc:`/settings` lists them. The defaults were chosen
        by benchmarks.
    %(rng)s
    %(device)s
    key_added
        Name of the fit, and prefix of all names that it writes.
    %(show_progress)s
    %(copy)s
    old_arguments
        Arguments of earlier versions, such as `n_steps`, which are settings of `config` now, with a
        warning that names the new place.

    Returns
    -------
    None, or the copy. Sets the following fields for all cells, including held-out ones;
    ``d`` is the dimension of the state:

    `adata.obsm["{key_added}_velocity"]` : array of shape ``(n, d)``
        Drift: mean displacement of a cell per unit of time.
    `adata.obsm["{key_added}_migration"]` : array of shape ``(n, 2)``
        With `spatial_key`: the part of the drift that moves a cell in the tissue, in its
        coordinates per unit of time.
    `adata.obsm["{key_added}_aligned"]`, `adata.uns["{key_added}_slices"]`
        With `spatial_align`: coordinates in the frame of the first time point, which is the frame
        of the migration, and the motions, as from :func:`scdiffot.tl.align_slices`.
    `adata.obsm["{key_added}_flow"]` : array of shape ``(n, d)``
        Velocity of the probability flow, which moves the density without noise; state per time.
    `adata.obsm["{key_added}_score"]` : array of shape ``(n, d)``
        Gradient of the log-density, per state.
    `adata.obs["{key_added}_growth"]` : column
        Net growth rate, per unit of time.
    `adata.obs["{key_added}_potential"]` : column
        Negative log-density, in nats: low where cells are.
    `adata.uns["{key_added}"]` : dict
        ``params``, ``history`` (``stage``, ``step`` and losses, see :func:`scdiffot.pl.history`;
        distance to every snapshot and its sampling noise; error of the mass) and ``state`` (the
        model, see :func:`scdiffot.get.model`): arrays, strings and numbers
        only.

    Outliers are excluded from training: cells whose distance to all other cells but one is ten
    times the distance of these from their median. They count in the masses, and a warning names
    them. Warnings also name snapshots that could be samples of one population, masses that jump
    more than tenfold, many copies of cells, and a `growth_prior` that the masses contradict. The
    growth that the masses imply in every interval is logged, and stored in ``params`` as
    ``mass_folds`` and ``mass_rates``.

    If the fit is interrupted (Ctrl-C), the best state so far is kept and a warning is logged;
    before the first steps, KeyboardInterrupt is raised and nothing is written.

    Raises
    ------
    KeyError
        If a key, label or time does not exist.
    TypeError
        If an argument or an array has the wrong type.
    ValueError
        If the data or an option cannot be used: too few cells or times, missing or infinite values,
        labels without a time, masses that are not positive, duplicated names, a view; or if the
        training diverges. Nothing is written then.

    See Also
    --------
    scdiffot.tl.validate : Test the predictions of left-out snapshots.
    scdiffot.tl.sta_forward : Fates and numbers of descendants of cells.
    scdiffot.tl.sta_backward : Ancestors of cells.
    scdiffot.tl.simulate : Trajectories of particles that start at cells.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> adata.obsm["scdiffot_velocity"].shape == adata.shape
    True
    """
    keys = Keys(key_added)
    settings = read_config(
        FitConfig,
        config,
        arguments={
            "growth": growth,
            "sigma": sigma,
            "alpha": alpha,
            "form": form,
            "path": path,
            "autonomous": autonomous,
        },
        old_arguments=old_arguments,
        function="tl.fit",
    )
    if spatial_key is not None:
        # Expression and position diffuse differently: a misfit of one would count as diffusion of
        # both.
        selection = replace(settings.selection, refine_sigma=False)
        settings = replace(settings, selection=selection)
    generator, torch_device = as_generator(rng), resolve_device(device)
    adata = as_writable(adata, copy=copy)
    check_free(adata, keys)
    series = read_time_series(
        adata,
        time_key,
        use_rep=use_rep,
        n_dims=n_dims,
        time_map=time_map,
        mass=mass,
        growth_prior=growth_prior,
        held_out=held_out,
    )
    series, frame = add_positions(
        adata,
        series,
        keys,
        spatial_key=spatial_key,
        weight=spatial_weight,
        align=spatial_align,
        show_progress=show_progress,
    )
    warn_about_time_series(series, adata.obs_names, mass=mass, growth=settings.growth)
    with progress_bar("Fit", show=show_progress) as callback:
        model, history = fit_core(
            series.snapshots, settings, rng=generator, device=torch_device, callback=callback
        )
    if frame is not None:
        frame.write(adata, keys)
    arguments = {"mass": mass, "time_map": time_map, "growth_prior": growth_prior, "rng": rng}
    store_fit(adata, keys, series, model=model, history=history, arguments=arguments)
    return adata if copy else None
