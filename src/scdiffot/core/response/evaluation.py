"""Predicted responses of cells that training did not see, beside predictions without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._utils.rng import as_generator
from scdiffot.core.ot.gaussian_map import GaussianMap
from scdiffot.core.scores.mean_scores import unexplained
from scdiffot.core.scores.response_scores import bootstrap, score_response

from . import fit_response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from scdiffot.core.problem.config import Progress

    from . import Conditions, ContextPair, ResponseConfig, ResponseModel

CONTROLS = ("gaussian", "mean_shift", "copy", "identity", "observed")
# Treated cells of the training that are scored as a prediction
N_COPIED = 5000
LEVEL = 0.95
# Random halves of the treated cells whose distances are the floor
N_HALVES = 20


@dataclass(frozen=True)
class UnseenCells:
    """Cells before and after one treatment that are kept from training.

    Parameters
    ----------
    condition
        Row of the treatment in the conditions.
    control
        Untreated cells, shape ``(n, d)``.
    treated
        Treated cells, shape ``(m, d)``.
    shares
        What every untreated cell counts, shape ``(n,)``, so that contexts are mixed as among the treated cells.
    truth
        True responses of the untreated cells, shape ``(n, d)``.
    """

    condition: int
    control: np.ndarray
    treated: np.ndarray
    shares: np.ndarray
    truth: np.ndarray | None = None


@dataclass(frozen=True)
class _Predicted:
    """A predicted population; `paired` if its cells are those of the controls, in their order."""

    states: np.ndarray
    weights: np.ndarray | None = None
    paired: bool = False


def evaluate_responses(
    strata: Sequence[ContextPair],
    unseen: Sequence[UnseenCells],
    conditions: Conditions,
    configs: Mapping[str, ResponseConfig],
    *,
    decode: Callable[[np.ndarray], np.ndarray] | None = None,
    n_boot: int = 200,
    rng: int | np.random.Generator = 0,
    device: str | torch.device = "cpu",
    callback: Callable[[Progress], None] | None = None,
) -> list[dict[str, Any]]:
    """Fit responses to some cells, and score what they predict for others.

    Parameters
    ----------
    strata
        Cells to train on; nothing else is known to the models and to what they are compared with.
    unseen
        Cells to test on.
    conditions
        The treatments.
    configs
        Options of the fits, by their names.
    decode
        Expression (n, G) of states (n, d), if genes are to be scored.
    n_boot
        Number of resampled populations behind an interval.
    rng
        Seed or generator. All methods have the same seed.
    device
        Where to train.
    callback
        Called with the progress of the current fit.

    Returns
    -------
    For every treatment, method and metric: ``condition``, ``method``, ``metric``, ``value``, ``low``, ``high``, ``n_control`` and
    ``n_treated``. Methods are those of `configs` and ``gaussian``, ``mean_shift``, ``copy``, ``identity`` and ``observed``, whose
    value is the mean over random halves, and whose ends hold 95 % of them.

    Raises
    ------
    KeyboardInterrupt
        If interrupted: an unfinished fit is no prediction.
    ValueError
        As :func:`~scdiffot.core.response.fit_response` and :func:`~scdiffot.core.scores.response_scores.bootstrap`.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core.response import Conditions, ResponseConfig, ContextPair
    >>> from scdiffot.core.response.evaluation import UnseenCells, evaluate_responses
    >>> x, y = np.random.default_rng(0).normal(size=(2, 100, 2)) + [[[0, 0]], [[2, 0]]]
    >>> conditions = Conditions(np.zeros((1, 0)), np.ones(1))
    >>> seen, unseen = ContextPair(x[:50], y[:50], 0), UnseenCells(0, x[50:], y[50:], np.ones(50))
    >>> rows = evaluate_responses(
    ...     [seen], [unseen], conditions, {"flow": ResponseConfig(n_steps=20)}, n_boot=20
    ... )
    >>> distance = {
    ...     row["method"]: row["value"] for row in rows if row["metric"] == "energy_distance"
    ... }
    >>> distance["flow"] < distance["identity"]
    True
    """
    seed = int(as_generator(rng).integers(2**31))
    models = {
        name: _fit(strata, conditions, config, seed, device, callback)
        for name, config in configs.items()
    }
    rows = []
    for cells in unseen:
        genes = None if decode is None else decode(cells.treated)
        predictions = _predictions(cells, strata, conditions, models, seed)
        for method in (*configs, *CONTROLS):
            if method == "observed":
                scores = _floor(cells.treated, genes, seed)
            else:
                predicted = predictions[method]
                scores = bootstrap(
                    predicted.states,
                    predicted.weights,
                    cells.treated,
                    genes_predicted=None if decode is None else decode(predicted.states),
                    genes_treated=genes,
                    n_boot=n_boot,
                    level=LEVEL,
                    rng=seed,
                )
                if predicted.paired and cells.truth is not None:
                    scores["unexplained"] = _unexplained(
                        predicted.states - cells.control, cells.truth, n_boot, seed
                    )
            rows += [
                {
                    "condition": cells.condition,
                    "method": method,
                    "metric": metric,
                    "value": value,
                    "low": low,
                    "high": high,
                    "n_control": len(cells.control),
                    "n_treated": len(cells.treated),
                }
                for metric, (value, low, high) in scores.items()
            ]
    return rows


def _fit(
    strata: Sequence[ContextPair],
    conditions: Conditions,
    config: ResponseConfig,
    seed: int,
    device: str | torch.device,
    callback: Callable[[Progress], None] | None,
) -> ResponseModel:
    model, history = fit_response(
        strata, conditions, config, rng=seed, device=device, callback=callback
    )
    if history["interrupted"]:
        raise KeyboardInterrupt
    return model


def _predictions(
    cells: UnseenCells,
    strata: Sequence[ContextPair],
    conditions: Conditions,
    models: Mapping[str, ResponseModel],
    seed: int,
) -> dict[str, _Predicted]:
    """Predictions of all methods; those without a model know the training cells too, and no others."""
    rng = np.random.default_rng(seed)
    x, i = cells.control, cells.condition
    found = {}
    for name, model in models.items():
        predicted = model.predict(x, conditions.embedding[i], float(conditions.strength[i]))
        weights = cells.shares if predicted.survival is None else cells.shares * predicted.survival
        found[name] = _Predicted(predicted.states, weights, paired=True)
    seen = [s for s in strata if s.condition == i and s.coupled]
    before, after = (
        np.concatenate(part) for part in ([s.control for s in seen], [s.treated for s in seen])
    )
    shares = np.concatenate(
        [np.full(len(s.control), len(s.treated) / len(s.control)) for s in seen]
    )
    shift = after.mean(axis=0, dtype=np.float64) - np.average(before, axis=0, weights=shares)
    without_model = {
        "gaussian": GaussianMap.fit(before, after, shares).push(x),
        "mean_shift": x + shift,
        "identity": x,
    }
    found |= {
        name: _Predicted(states, cells.shares, paired=True)
        for name, states in without_model.items()
    }
    copied = after[rng.permutation(len(after))[:N_COPIED]]
    return found | {"copy": _Predicted(copied)}


def _floor(
    treated: np.ndarray, genes: np.ndarray | None, seed: int
) -> dict[str, tuple[float, float, float]]:
    """Scores of one half of the treated cells against the other: mean and range over random halves."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(N_HALVES):
        a, b = np.array_split(rng.permutation(len(treated)), 2)
        found.append(
            score_response(
                treated[a],
                None,
                treated[b],
                genes_predicted=None if genes is None else genes[a],
                genes_treated=None if genes is None else genes[b],
                rng=seed,
            )
        )
    scores = {name: np.array([f[name] for f in found]) for name in found[0]}
    return {name: (float(v.mean()), *_range(v)) for name, v in scores.items()}


def _unexplained(
    response: np.ndarray, truth: np.ndarray, n_boot: int, seed: int
) -> tuple[float, float, float]:
    value = unexplained(response, truth)
    error, size = (
        np.sum(np.asarray(z, dtype=np.float64) ** 2, axis=1) for z in (response - truth, truth)
    )
    drawn = np.random.default_rng(seed).integers(len(error), size=(n_boot, len(error)))
    return value, *_range(error[drawn].sum(axis=1) / size[drawn].sum(axis=1))


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
