"""Score predicted responses of held-out cells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Unpack

from scdiffot._data.read.checks import (
    as_writable,
    check_count,
)
from scdiffot._data.responses.evaluation import (
    read_truth,
    write_evaluation,
)
from scdiffot._data.responses.groups import read_condition_groups
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.rng import as_generator
from scdiffot.core.nets.devices import resolve_device
from scdiffot.core.problem.config.arguments import OldArguments, read_config
from scdiffot.core.response import ResponseConfig

from .evaluation_options import check_split, make_folds, method_names, score_decoder
from .fold_scores import evaluate_folds, log_scores, score_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import torch
    from anndata import AnnData
    from mudata import MuData


@fill_parameters
def evaluate_response(
    adata: AnnData | MuData,
    condition_key: str,
    control: str,
    target: str | Iterable[str],
    *,
    split: Literal["iid", "oos", "ood"] = "iid",
    held_out: str | float | Iterable[str | float] | None = None,
    held_out_key: str | None = None,
    test_size: float = 0.2,
    n_splits: int = 1,
    methods: str | Iterable[str] = ("flow",),
    truth: str | None = None,
    genes: bool | None = None,
    n_boot: int = 200,
    use_rep: str = "X_pca",
    n_dims: int | None = None,
    context: str | None = None,
    dose_key: str | None = None,
    target_embedding: str | None = None,
    unbalanced: bool = False,
    mass: Literal["n_cells"] | Mapping[str, float] | None = "n_cells",
    metric: Literal["auto", "learned", "euclidean"] = "auto",
    config: ResponseConfig | Mapping[str, Any] | None = None,
    rng: int | np.random.Generator = 0,
    device: str | torch.device = "auto",
    key_added: str = DEFAULT,
    show_progress: bool = True,
    copy: bool = False,
    **old_arguments: Unpack[OldArguments],
) -> AnnData | MuData | None:
    """Fit responses to some cells, predict them for held-out cells, and score the predictions.

    No held-out cell is used in training, including the units, the metric and early stopping. A
    representation that was computed from all cells has used them, although without their treatment:
    if that matters, compute it without the held-out cells.

    Every prediction is compared with baselines that need no model, from the same training cells:
    ``gaussian``, the optimal map between Gaussians :cite:p:`Knott1984`, which is hard to improve on
    for a new donor; ``mean_shift``, the mean response for every cell; ``copy``, the treated cells
    of the training data; ``identity``, no response. ``observed`` is the noise floor: half of the
    treated test cells against the other half, mean and range over random halves. These have half
    the cells, so that a good prediction may score below the floor if noise increases a score.

    Scores of populations do not show whether each cell is mapped to the right state: any pairing of
    control and treated cells yields the same scores. If the true responses are known (simulations),
    `truth` adds ``unexplained``, which does show it.

    Parameters
    ----------
    adata
        Untreated and treated cells; other cells are ignored.
    condition_key, control, target
        Column of `adata.obs` with the treatment of every cell, and its values for untreated and for
        treated cells; see :func:`scdiffot.tl.fit_response`. Every target, and every dose, is scored
        separately.
    split
        Held-out cells, by the names of CellOT :cite:p:`Bunne2023b`. ``"iid"`` (independent and
        identically distributed): a random share of every group in every context. ``"oos"`` (out of
        sample): all cells of one context, such as a donor, each in turn. ``"ood"`` (out of
        distribution): all cells of one class of `held_out_key`, such as a species, a cell line or a
        cell type, each in turn.
    held_out
        Classes to hold out in turn, for ``"oos"`` and ``"ood"``; by default all classes with
        control and treated cells.
    held_out_key
        Column of `adata.obs` with the classes, for ``"ood"``. Cells without a class are excluded.
    test_size
        Share of the cells to hold out, for ``"iid"``.
    n_splits
        Number of independent random splits, for ``"iid"``.
    methods
        ``"flow"``, ``"convex"`` or both; see :func:`scdiffot.tl.fit_response`.
    truth
        Key of `adata.obsm` with true responses of control cells, in the coordinates of `use_rep`.
    genes
        Whether to score genes, too, through the decoder of the representation. By default if there
        is one.
    n_boot
        Number of bootstrap resamples of an interval.
    use_rep, n_dims, context, dose_key, target_embedding, unbalanced, mass, metric
        See :func:`scdiffot.tl.fit_response`. If `unbalanced`, predicted cells are weighted by their
        survival.
    config
        Other settings of the fits; see :func:`scdiffot.tl.fit_response`. `methods` replaces their
        method.
    %(rng)s
    %(device)s
    key_added
        Name of the evaluation. It may be the name of a response, which is neither used nor changed.
    %(show_progress)s
    %(copy)s
    old_arguments
        Arguments of earlier versions, such as `n_steps`, which are settings of `config` now, with a
        warning that names the new place.

    Returns
    -------
    None, or the copy. Sets the following field; :func:`scdiffot.pl.response_evaluation` plots it:

    `adata.uns["{key_added}_response_evaluation"]` : DataFrame
        One row for every fold, target, method and metric: ``split``; ``fold``, the number of the
        split or the held-out class; ``target``, with its dose if there are doses; ``method``;
        ``metric``; ``value``, with the ends ``low`` and ``high`` of its 95 % bootstrap interval
        over cells; ``n_control`` and ``n_treated``, the numbers of held-out cells. Metrics are
        functions of :mod:`scdiffot.metrics`. ``l2_of_means``, ``energy_distance``, ``mmd`` and
        ``enrichment`` compare states. ``pearson_of_means``, ``r2_of_means``, ``marginal_distance``
        and ``feature_correlation_r`` compare genes; predicted and treated cells are both decoded,
        so that no method is penalised for expression that the representation lacks. Without a
        decoder they compare states. ``unexplained`` if `truth`.

    Intervals resample the cells of a fold, given the fit: other donors would change the scores
    more. With several folds of donors (``"oos"``), their spread is more informative than any
    interval.

    Predicted cells are weighted so that contexts have the same shares as among the treated cells.
    If the evaluation is interrupted (Ctrl-C), KeyboardInterrupt is raised and nothing is written.

    Raises
    ------
    KeyError
        If a key, condition, class or representation does not exist.
    TypeError
        If an argument or an array has the wrong type.
    ValueError
        As :func:`scdiffot.tl.fit_response`, for the training cells of every fold; if fewer than 20
        control or treated cells are held out; if an argument belongs to another split; or if
        `genes` is True and there is no decoder. Nothing is written then.

    See Also
    --------
    scdiffot.tl.fit_response : Learn the response.
    scdiffot.tl.predict_response : Predict the response of each cell.
    scdiffot.pl.response_evaluation : Plot the scores.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.perturbation_response(600, n_dims=10)
    >>> sdo.tl.evaluate_response(
    ...     adata,
    ...     "condition",
    ...     "control",
    ...     target="drug",
    ...     config={"train": {"n_steps": 30}},
    ...     n_boot=20,
    ... )
    >>> table = (
    ...     adata.uns["scdiffot_response_evaluation"]
    ...     .query("metric == 'energy_distance'")
    ...     .set_index("method")
    ... )
    >>> bool(table.loc["flow", "value"] < table.loc["identity", "value"])
    True
    """
    keys = Keys(key_added)
    settings = read_config(
        ResponseConfig,
        config,
        arguments={"metric": metric, "unbalanced": unbalanced},
        old_arguments=old_arguments,
        function="tl.evaluate_response",
    )
    configs: dict[str, ResponseConfig] = {
        name: replace(settings, method=name) for name in method_names(methods)
    }
    n_boot, n_splits = check_count("n_boot", n_boot, 2), check_count("n_splits", n_splits, 1)
    check_split(split, context, held_out, held_out_key, n_splits, test_size)
    generator, torch_device = as_generator(rng), resolve_device(device)
    adata = as_writable(adata, copy=copy)
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
    true_response = None if truth is None else read_truth(adata, truth, cells)
    column = context if split == "oos" else held_out_key
    folds = make_folds(
        adata, cells, split, held_out, column, n_splits=n_splits, test_size=test_size, rng=generator
    )
    decode = score_decoder(adata, cells, genes)
    rows = evaluate_folds(
        folds,
        cells,
        configs,
        masses=mass if unbalanced else None,
        true_response=true_response,
        decode=decode,
        n_boot=n_boot,
        rng=generator,
        device=torch_device,
        show_progress=show_progress,
    )
    table = score_table(split, rows, cells)
    log_scores(table, list(configs))
    write_evaluation(adata, keys, table)
    return adata if copy else None
