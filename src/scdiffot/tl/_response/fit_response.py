"""Learn the response of cells to treatments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from scdiffot._data.read.cautions import warn_about_cells
from scdiffot._data.read.checks import as_writable
from scdiffot._data.responses.groups import read_condition_groups
from scdiffot._data.responses.response_store import (
    check_response_free,
    response_params,
    write_response,
)
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.logging import logger
from scdiffot._utils.progress import progress_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.nets.devices import resolve_device
from scdiffot.core.problem.config.arguments import OldArguments, read_config
from scdiffot.core.response import ResponseConfig
from scdiffot.core.response import fit_response as fit_core

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.responses.groups import ResponseCells


@fill_parameters
def fit_response(
    adata: AnnData | MuData,
    condition_key: str,
    control: str,
    target: str | Iterable[str],
    *,
    use_rep: str = "X_pca",
    n_dims: int | None = None,
    context: str | None = None,
    dose_key: str | None = None,
    target_embedding: str | None = None,
    unbalanced: bool = False,
    mass: Literal["n_cells"] | Mapping[str, float] | None = "n_cells",
    method: Literal["flow", "convex"] = "flow",
    metric: Literal["auto", "learned", "euclidean"] = "auto",
    config: ResponseConfig | Mapping[str, Any] | None = None,
    rng: int | np.random.Generator = 0,
    device: str | torch.device = "auto",
    key_added: str = DEFAULT,
    show_progress: bool = True,
    copy: bool = False,
    **old_arguments: Unpack[OldArguments],
) -> AnnData | MuData | None:
    r"""Learn the response of single cells to treatments, from untreated and treated populations.

    Sequencing destroys the cell, so that the same cell is never observed with and without
    treatment. Untreated and treated cells of the same context are coupled by entropic optimal
    transport, and a flow is regressed on the straight paths between coupled cells
    :cite:p:`Lipman2023,Tong2024a`. The flow is the sum of a linear map and a network: it is exact
    between Gaussians, and close to the optimal linear map for small data.

    In the Euclidean metric, a response that differs between subpopulations is mistaken for a change
    of their composition. The learned metric instead assumes that the treatment displaces cells in
    few directions: of all couplings :math:`P`, it searches the one with the least

    .. math::
        \log \det \sum_{ij} P_{ij} (y_j - x_i)(y_j - x_i)^T,

    which depends neither on the units nor on the rotation of the coordinates. The directions that
    the treatment leaves unchanged then identify the cells.

    Parameters
    ----------
    adata
        Untreated and treated cells; other cells are ignored.
    condition_key
        Column of `adata.obs` with the treatment of every cell.
    control
        Value of `condition_key` for untreated cells.
    target
        Value of `condition_key` for treated cells; several for one model of several treatments.
    use_rep
        Representation of the cells: a key of `adata.obsm` (with or without its ``X_``), ``"X"``, a
        layer, or ``"modality:key"`` of a MuData. Treatment and control must share it.
    %(n_dims)s
    context
        Column of `adata.obs` with the donor, species or cell line. Cells are compared within a
        context only, and the response is the same function of the state in all of them. A context
        with fewer than 20 treated cells uses the response of the others, with a warning; if numbers
        of cells matter (`unbalanced`, ``mass="n_cells"``), its survival is the ratio of its
        numbers, close to 0 if no treated cell is left. Therefore exclude the cells of contexts that
        were never treated.
    dose_key
        Column of `adata.obs` with positive doses of treated cells. Between doses, responses are
        interpolated on a logarithmic scale; a dose of 0 has no effect.
    target_embedding
        Entry of `adata.uns` (a DataFrame with a row, or a dict with an array, for every treatment)
        with descriptors, from which the response to a treatment without cells can be predicted. By
        default treatments are distinguished by name.
    unbalanced
        Whether cells die or divide under the treatment: the mass of an untreated cell may decrease
        or increase. In a balanced fit, untreated cells without any treated counterpart (2 % of them
        or more) are not coupled, with a warning: they have the mean response of the others.
    mass
        Number of treated cells per untreated cell, if `unbalanced`: ``"n_cells"`` takes the numbers
        of cells of every context, a dict (treatment -> number) takes independent measurements, None
        ignores numbers: survival is then relative to the average cell.
    method
        ``"flow"``; or ``"convex"``, the gradient of an input-convex network as in CellOT
        :cite:p:`Bunne2023b`, with one map per treatment and dose, in the Euclidean metric,
        initialised by the optimal map between Gaussians :cite:p:`Bunne2022`. The state with the
        least loss on held-out cells is kept.
    metric
        Metric in which cells are compared: ``"euclidean"``, ``"learned"``, or ``"auto"``, which is
        learned unless all groups of cells are normal: the optimal map is then linear, and known in
        closed form.
    config
        All other settings, as a dict of those that differ from the defaults, such as
        ``{"train": {"n_steps": 200}, "scale": {"smoothing": 1.0}}``, or a
        :class:`~scdiffot.core.response.ResponseConfig`. :doc:`/settings` lists them. More
        smoothing (0.7 by default) learns coarser responses, which generalise better to other
        donors. The defaults were chosen by benchmarks.
    %(rng)s
    %(device)s
    key_added
        Name of the response, and prefix of all names that are derived from it.
    %(show_progress)s
    %(copy)s
    old_arguments
        Arguments of earlier versions, such as `n_steps`, which are settings of `config` now, with a
        warning that names the new place.

    Returns
    -------
    None, or the copy. Sets the following field, and removes the predictions of an earlier response
    of that name:

    `adata.uns["{key_added}_response"]` : dict
        ``params``, ``history`` (``step``, ``loss`` on held-out cells, the ``metric`` that was used,
        the ``smoothing`` in the unit of the state, CPU ``seconds``) and ``model``: arrays, strings
        and numbers only. :func:`scdiffot.tl.predict_response` reads it.

    Outliers are excluded from training: cells whose distance to all other cells but one is ten
    times the distance of these from their median. A warning names them, and many copies of cells.

    If the fit is interrupted (Ctrl-C), the best state so far is kept and a warning is logged;
    before the first steps, KeyboardInterrupt is raised and nothing is written.

    Raises
    ------
    KeyError
        If a key, condition or representation does not exist.
    TypeError
        If an argument or an array has the wrong type.
    ValueError
        If the data or an option cannot be used: a target that is the control, a context without
        controls, fewer than 20 cells in a group, doses that are not positive, missing or infinite
        values, a view; or if the training diverges. Nothing is written then.

    See Also
    --------
    scdiffot.tl.predict_response : Predict the response of each cell.
    scdiffot.tl.evaluate_response : Score predictions on held-out cells.
    scdiffot.tl.response_subpopulations : Subpopulations and genes that respond most.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.perturbation_response(600, n_dims=10)
    >>> sdo.tl.fit_response(
    ...     adata,
    ...     "condition",
    ...     "control",
    ...     "drug",
    ...     context="donor",
    ...     config={"train": {"n_steps": 30}},
    ... )
    >>> sdo.tl.predict_response(adata)
    >>> adata.obsm["scdiffot_predicted"].shape
    (600, 10)
    """
    keys = Keys(key_added)
    settings = read_config(
        ResponseConfig,
        config,
        arguments={"method": method, "metric": metric, "unbalanced": unbalanced},
        old_arguments=old_arguments,
        function="tl.fit_response",
    )
    generator, torch_device = as_generator(rng), resolve_device(device)
    adata = as_writable(adata, copy=copy)
    check_response_free(adata, keys)
    cells = read_condition_groups(
        adata,
        condition_key,
        control,
        target,
        use_rep=use_rep,
        n_dims=n_dims,
        context=context,
        dose_key=dose_key,
        target_embedding=target_embedding,
    )
    pairs = cells.context_pairs(mass if unbalanced else None)
    _warn_unusual_cells(adata, cells)
    with progress_bar("Fit response", show=show_progress) as callback:
        model, history = fit_core(
            pairs,
            cells.targets.conditions,
            settings,
            rng=generator,
            device=torch_device,
            callback=callback,
        )
    _warn_interrupted(history)
    params = response_params(
        cells,
        condition_key=condition_key,
        control=control,
        context=context,
        dose_key=dose_key,
        mass=mass,
        rng=rng,
    )
    write_response(
        adata, keys, params=params, history=history, model=model.to_arrays(), targets=cells.targets
    )
    return adata if copy else None


def _warn_unusual_cells(adata: AnnData | MuData, cells: ResponseCells) -> None:
    """Warn of outliers and copies among untreated and among treated cells."""
    rows = [np.flatnonzero(group) for group in (cells.control, cells.condition >= 0)]
    warn_about_cells(adata.obs_names, rows, [cells.states[r] for r in rows])


def _warn_interrupted(history: dict[str, Any]) -> None:
    """Warn if the fit was interrupted."""
    if history["interrupted"]:
        n_done = int(history["step"][-1])
        logger.warning("Interrupted after %d steps: the state reached is kept.", n_done)
