"""Predict the responses of cells that training did not see."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from scdiffot._data.read.checks import (
    check_count,
    check_share,
    given_options,
    listed_names,
    some,
    writable,
)
from scdiffot._data.read.labels import cell_labels
from scdiffot._data.responses.evaluation import (
    class_folds,
    random_folds,
    read_truth,
    write_evaluation,
)
from scdiffot._data.responses.groups import read_groups
from scdiffot._data.write.decoders import gene_space
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.logging import logger
from scdiffot._utils.progress import progress_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.nets.devices import resolve_device
from scdiffot.core.response import ResponseConfig
from scdiffot.core.response.evaluation import evaluate_responses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    import pandas as pd
    import torch
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.responses.groups import ResponseCells


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
    n_steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    n_hidden: int | None = None,
    n_layers: int | None = None,
    n_landmarks: int | None = None,
    smoothing: float | None = None,
    rng: int | np.random.Generator = 0,
    device: str | torch.device = "auto",
    key_added: str = DEFAULT,
    show_progress: bool = True,
    copy: bool = False,
) -> AnnData | MuData | None:
    """Fit responses to some cells, predict them for others, and score the prediction against the treated cells there.

    Training sees no cell that it is tested on, not for units, the metric or stopping either. A representation that was computed from
    all cells has seen them, though, without their treatment: where that matters, compute it without the cells held out.

    Every prediction stands beside what needs no model, all from the same training cells: ``gaussian``, the optimal map between
    Gaussians :cite:p:`Knott1984`, which is hard to beat on a new donor; ``mean_shift``, the mean response for every cell; ``copy``, the
    treated cells of the training themselves; ``identity``, no response. ``observed`` is the floor: half of the treated test cells
    against the other half, mean and range over random halves. These have half the cells, so that a good prediction may come out
    below where noise adds to a score.

    Scores of populations do not tell whether each cell is sent to the right place: any pairing of control and
    treated cells gets them right. Where the true responses are known (simulations), `truth` adds ``unexplained``, which does tell.

    Parameters
    ----------
    adata
        Untreated and treated cells; other cells are ignored.
    condition_key, control, target
        Column of `adata.obs` with the treatment of every cell, and its values in untreated and in treated cells; see
        :func:`scdiffot.tl.fit_response`. Every target, and every dose, is scored by itself.
    split
        Which cells are tested on, by the names of CellOT :cite:p:`Bunne2023b`. ``"iid"``: a random share of every group in every context.
        ``"oos"`` (out of sample): all cells of one context, such as a donor, each in turn. ``"ood"`` (out of distribution): all cells of
        one class of `held_out_key`, such as a species, a cell line or a cell type, each in turn.
    held_out
        Classes to hold out in turn, for ``"oos"`` and ``"ood"``; by default all that have control and treated cells.
    held_out_key
        Column of `adata.obs` with the classes, for ``"ood"``. Cells without a class take no part.
    test_size
        Share of the cells to test on, for ``"iid"``.
    n_splits
        Number of independent random splits, for ``"iid"``.
    methods
        ``"flow"``, ``"convex"`` or both; see :func:`scdiffot.tl.fit_response`.
    truth
        Key of `adata.obsm` with true responses of control cells, in the coordinates of `use_rep`.
    genes
        Whether to score genes, too, through the decoder of the representation. By default if there is one.
    n_boot
        Number of resampled populations behind an interval.
    use_rep, n_dims, context, dose_key, target_embedding, unbalanced, mass, metric
        See :func:`scdiffot.tl.fit_response`. If `unbalanced`, predicted cells count by their survival.
    n_steps, batch_size, learning_rate, n_hidden, n_layers, n_landmarks, smoothing
        See :func:`scdiffot.tl.fit_response`.
    rng
        Seed or generator of the random numbers. Equal seeds give equal results on one machine.
    device
        ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or a `torch.device`.
    key_added
        Name of the evaluation, by itself or beside a response of that name, which it neither needs nor changes.
    show_progress
        Whether to show a progress bar.
    copy
        Whether to return a copy instead of writing into `adata`.

    Returns
    -------
    None, or the copy. :func:`scdiffot.pl.response_evaluation` draws the result. Sets the following field:

    `adata.uns["{key_added}_response_evaluation"]` : DataFrame, one row for every fold, target, method and metric
        ``split``; ``fold``, the number of the split or the class held out; ``target``, with its dose if there are doses;
        ``method``; ``metric``; ``value``, with the ends ``low`` and ``high`` of its 95 % bootstrap interval over cells; ``n_control``
        and ``n_treated``, the cells tested on. Metrics are functions of :mod:`scdiffot.metrics`. ``l2_of_means``, ``energy_distance``,
        ``mmd`` and ``enrichment`` compare states. ``pearson_of_means``, ``r2_of_means``, ``marginal_distance`` and
        ``feature_correlation_r`` compare genes, where predicted and treated cells are both decoded, so that what the representation
        leaves out is held against nobody; or states, without a decoder. ``unexplained`` if `truth`.

    Intervals resample the cells of a fold and take the fit as exact: other donors would change the scores by more. With several
    folds of donors (``"oos"``), their spread says more than any interval.

    Predicted cells are weighted so that contexts are mixed as among the treated cells. Interrupted (Ctrl-C), it
    raises KeyboardInterrupt and writes nothing.

    Raises
    ------
    KeyError
        If a key, condition, class or representation does not exist.
    TypeError
        If an argument or an array has the wrong type.
    ValueError
        As :func:`scdiffot.tl.fit_response`, of the training cells of every fold; if fewer than 20 control or treated cells are
        left to test on; if an argument belongs to another split; or if `genes` are asked for and there is no decoder. Nothing is
        written then.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.perturbation_response(600, n_dims=10)
    >>> sdo.tl.evaluate_response(
    ...     adata, "condition", "control", target="drug", n_steps=30, n_boot=20
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
    config = ResponseConfig(metric=metric, unbalanced=unbalanced)
    options: dict[str, Any] = {
        "n_steps": n_steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "n_hidden": n_hidden,
        "n_layers": n_layers,
        "n_landmarks": n_landmarks,
        "smoothing": smoothing,
    }
    config = replace(config, **given_options(options))
    chosen: list[Any] = list(dict.fromkeys(listed_names("methods", methods)))
    if not chosen or not set(chosen) <= {"flow", "convex"}:
        raise ValueError(f"`methods` is {some(chosen) or 'empty'}: pass 'flow', 'convex' or both.")
    configs = {name: replace(config, method=name) for name in chosen}
    n_boot = check_count("n_boot", n_boot, 2)
    _check_split(
        split,
        context,
        {"held_out": held_out, "held_out_key": held_out_key},
        check_count("n_splits", n_splits, 1),
    )
    if check_share("test_size", test_size) == 1:
        raise ValueError(
            "`test_size` is 1, which leaves nothing to train on: pass a number below 1."
        )
    generator, where = as_generator(rng), resolve_device(device)
    adata = writable(adata, copy=copy)
    cells = read_groups(
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
    true = None if truth is None else read_truth(adata, truth, cells)
    if split == "iid":
        folds = random_folds(cells, n_splits, test_size, generator)
    else:
        column = str(context if split == "oos" else held_out_key)
        codes, names = cell_labels(
            adata, column, argument="context" if split == "oos" else "held_out_key"
        )
        folds = class_folds(cells, codes, names, held_out=held_out, column=column)
    decode = _decoder(adata, cells, genes)
    masses = mass if unbalanced else None
    # all folds are checked before the first fit, which takes time
    parts = {fold.name: (fold.strata(cells, masses), fold.unseen(cells, true)) for fold in folds}
    with progress_bar(
        "Evaluate response", show=show_progress, n_fits=len(folds) * len(configs)
    ) as callback:
        rows = {
            fold: evaluate_responses(
                strata,
                unseen,
                cells.targets.conditions,
                configs,
                decode=decode,
                n_boot=n_boot,
                rng=generator,
                device=where,
                callback=callback,
            )
            for fold, (strata, unseen) in parts.items()
        }
    table = _table(split, rows, cells)
    _log(table, chosen)
    write_evaluation(adata, keys, table)
    return adata if copy else None


def _check_split(split: str, context: str | None, given: Mapping[str, Any], n_splits: int) -> None:
    if split not in ("iid", "oos", "ood"):
        raise ValueError(f"`split` is {split!r}: pass 'iid', 'oos' or 'ood'.")
    if split == "oos" and context is None:
        raise ValueError(
            "`context` is missing: split 'oos' holds out contexts; name their column, such as that of donors."
        )
    if split == "ood" and given["held_out_key"] is None:
        raise ValueError(
            "`held_out_key` is missing: split 'ood' holds out the classes of a column; name it."
        )
    needless = {"iid": ("held_out", "held_out_key"), "oos": ("held_out_key",), "ood": ()}[split]
    wrong = [name for name in needless if given[name] is not None]
    if wrong:
        other = "'ood'" if "held_out_key" in wrong else "'oos' or 'ood'"
        raise ValueError(
            f"`{wrong[-1]}` was given, which split {split!r} does not know: leave it out, or pass {other}."
        )
    if split != "iid" and n_splits != 1:
        raise ValueError(
            f"`n_splits` is {n_splits}, but split {split!r} has one fold for each class: leave it out."
        )


def _decoder(
    adata: AnnData | MuData, cells: ResponseCells, genes: bool | None
) -> Callable[[np.ndarray], np.ndarray] | None:
    if genes is False:
        return None
    try:
        return gene_space(adata, cells.use_rep, cells.states.shape[1]).decode
    except ValueError as error:
        if genes:
            raise
        logger.warning("All scores are of states, none of genes: %s", error)
        return None


def _table(
    split: str, rows: Mapping[str, list[dict[str, Any]]], cells: ResponseCells
) -> pd.DataFrame:
    import pandas as pd

    labels = cells.targets.condition_names
    table = pd.DataFrame([{"fold": fold, **row} for fold, found in rows.items() for row in found])
    table.insert(0, "split", split)
    table.insert(2, "target", [labels[i] for i in table.pop("condition")])
    return table


def _log(table: pd.DataFrame, methods: list[str]) -> None:
    distances = table[table["metric"] == "energy_distance"].groupby("method")["value"].mean()
    names = [*methods, "gaussian", "mean_shift", "identity", "observed"]
    text = ", ".join(f"{name} {distances[name]:.3g}" for name in names)
    logger.info(
        "Energy distance to the treated cells of %d folds: %s.", table["fold"].nunique(), text
    )
