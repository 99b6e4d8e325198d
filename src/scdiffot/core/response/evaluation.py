"""Evaluation of predicted responses on held-out cells, with baselines."""

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
# Treated training cells that are scored as the prediction "copy".
N_COPIED_CELLS = 5000
# Coverage of intervals.
LEVEL = 0.95
# Random halves of the treated cells, whose distances are the noise floor.
N_HALVES = 20


@dataclass(frozen=True)
class HeldOutCells:
    """Held-out cells before and after one treatment.

    Parameters
    ----------
    condition
        Row of the treatment in the conditions.
    control
        Untreated cells, shape ``(n, d)``.
    treated
        Treated cells, shape ``(m, d)``.
    shares
        Weights of untreated cells, shape ``(n,)``, that give contexts the shares that they have
        among treated cells.
    truth
        True responses of the untreated cells, shape ``(n, d)``.

    See Also
    --------
    evaluate_responses : Score predictions for held-out cells.
    scdiffot.core.response.data.ContextPair : Training cells.
    """

    condition: int
    control: np.ndarray
    treated: np.ndarray
    shares: np.ndarray
    truth: np.ndarray | None = None


@dataclass(frozen=True)
class _PredictedPopulation:
    """A predicted population; `paired` if its rows are the control cells."""

    states: np.ndarray
    weights: np.ndarray | None = None
    paired: bool = False


def evaluate_responses(
    contexts: Sequence[ContextPair],
    held_out: Sequence[HeldOutCells],
    conditions: Conditions,
    configs: Mapping[str, ResponseConfig],
    *,
    decode: Callable[[np.ndarray], np.ndarray] | None = None,
    n_boot: int = 200,
    rng: int | np.random.Generator = 0,
    device: str | torch.device = "cpu",
    callback: Callable[[Progress], None] | None = None,
) -> list[dict[str, Any]]:
    """Fit responses, and score their predictions for held-out cells.

    Parameters
    ----------
    contexts
        Training cells, of models and baselines.
    held_out
        Held-out cells.
    conditions
        The treatments.
    configs
        Options of the fits, by their names.
    decode
        Map from states, shape ``(n, d)``, to expression, shape ``(n, G)``, to score genes.
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
    For every treatment, method and metric: ``condition``, ``method``, ``metric``,
    ``value``, ``low``, ``high``, ``n_control`` and ``n_treated``. Methods are those of `configs`
    and ``gaussian``, ``mean_shift``, ``copy``, ``identity`` and ``observed``. The value of
    ``observed`` is the mean over random halves of the treated cells, and its interval contains 95 %
    of them.

    Raises
    ------
    KeyboardInterrupt
        If interrupted, because an unfinished fit is not evaluated.
    ValueError
        As :func:`~scdiffot.core.response.fit_response` and
        :func:`~scdiffot.core.scores.response_scores.bootstrap`.

    See Also
    --------
    scdiffot.core.response.fit.fit_response : Fit responses.
    scdiffot.core.response.model.ResponseModel.predict : Predict responses.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core.response import Conditions, ResponseConfig, ContextPair
    >>> from scdiffot.core.response.evaluation import HeldOutCells, evaluate_responses
    >>> x, y = np.random.default_rng(0).normal(size=(2, 100, 2)) + [[[0, 0]], [[2, 0]]]
    >>> conditions = Conditions(np.zeros((1, 0)), np.ones(1))
    >>> training, held_out = (
    ...     ContextPair(x[:50], y[:50], 0),
    ...     HeldOutCells(0, x[50:], y[50:], np.ones(50)),
    ... )
    >>> configs = {"flow": ResponseConfig(train={"n_steps": 20})}
    >>> rows = evaluate_responses([training], [held_out], conditions, configs, n_boot=20)
    >>> distance = {
    ...     row["method"]: row["value"] for row in rows if row["metric"] == "energy_distance"
    ... }
    >>> distance["flow"] < distance["identity"]
    True
    """
    seed = int(as_generator(rng).integers(2**31))
    models = {
        name: _fit(contexts, conditions, config, seed, device, callback)
        for name, config in configs.items()
    }
    rows = []
    for cells in held_out:
        genes = None if decode is None else decode(cells.treated)
        predictions = _predictions(cells, contexts, conditions, models, seed)
        for method in (*configs, *CONTROLS):
            scores = (
                _score_noise_floor(cells.treated, genes, seed)
                if method == "observed"
                else _score(predictions[method], cells, genes, decode, n_boot, seed)
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


def _score(
    prediction: _PredictedPopulation,
    cells: HeldOutCells,
    genes: np.ndarray | None,
    decode: Callable[[np.ndarray], np.ndarray] | None,
    n_boot: int,
    seed: int,
) -> dict[str, tuple[float, float, float]]:
    """Score a prediction against treated cells, with bootstrap intervals."""
    scores = bootstrap(
        prediction.states,
        prediction.weights,
        cells.treated,
        genes_predicted=None if decode is None else decode(prediction.states),
        genes_treated=genes,
        n_boot=n_boot,
        level=LEVEL,
        rng=seed,
    )
    if prediction.paired and cells.truth is not None:
        scores["unexplained"] = _score_unexplained(
            prediction.states - cells.control, cells.truth, n_boot, seed
        )
    return scores


def _fit(
    contexts: Sequence[ContextPair],
    conditions: Conditions,
    config: ResponseConfig,
    seed: int,
    device: str | torch.device,
    callback: Callable[[Progress], None] | None,
) -> ResponseModel:
    model, history = fit_response(
        contexts, conditions, config, rng=seed, device=device, callback=callback
    )
    if history["interrupted"]:
        raise KeyboardInterrupt
    return model


def _predictions(
    cells: HeldOutCells,
    contexts: Sequence[ContextPair],
    conditions: Conditions,
    models: Mapping[str, ResponseModel],
    seed: int,
) -> dict[str, _PredictedPopulation]:
    """Predictions of models and baselines, all from the training cells."""
    rng = np.random.default_rng(seed)
    x, i = cells.control, cells.condition
    predictions = {}
    for name, model in models.items():
        prediction = model.predict(x, conditions.embedding[i], float(conditions.strength[i]))
        weights = (
            cells.shares if prediction.survival is None else cells.shares * prediction.survival
        )
        predictions[name] = _PredictedPopulation(prediction.states, weights, paired=True)
    training = [s for s in contexts if s.condition == i and s.coupled]
    control, treated = (
        np.concatenate(part)
        for part in ([s.control for s in training], [s.treated for s in training])
    )
    shares = np.concatenate(
        [np.full(len(s.control), len(s.treated) / len(s.control)) for s in training]
    )
    shift = treated.mean(axis=0, dtype=np.float64) - np.average(control, axis=0, weights=shares)
    baselines = {
        "gaussian": GaussianMap.fit(control, treated, shares).push(x),
        "mean_shift": x + shift,
        "identity": x,
    }
    predictions |= {
        name: _PredictedPopulation(states, cells.shares, paired=True)
        for name, states in baselines.items()
    }
    sample = treated[rng.permutation(len(treated))[:N_COPIED_CELLS]]
    return predictions | {"copy": _PredictedPopulation(sample)}


def _score_noise_floor(
    treated: np.ndarray, genes: np.ndarray | None, seed: int
) -> dict[str, tuple[float, float, float]]:
    """Scores of one half of the treated cells against the other half.

    Mean and range over random halves.
    """
    rng = np.random.default_rng(seed)
    results = []
    for _ in range(N_HALVES):
        a, b = np.array_split(rng.permutation(len(treated)), 2)
        results.append(
            score_response(
                treated[a],
                None,
                treated[b],
                genes_predicted=None if genes is None else genes[a],
                genes_treated=None if genes is None else genes[b],
                rng=seed,
            )
        )
    scores = {name: np.array([f[name] for f in results]) for name in results[0]}
    return {name: (float(v.mean()), *_central_interval(v)) for name, v in scores.items()}


def _score_unexplained(
    response: np.ndarray, truth: np.ndarray, n_boot: int, seed: int
) -> tuple[float, float, float]:
    value = unexplained(response, truth)
    error, size = (
        np.sum(np.asarray(z, dtype=np.float64) ** 2, axis=1) for z in (response - truth, truth)
    )
    rows = np.random.default_rng(seed).integers(len(error), size=(n_boot, len(error)))
    return value, *_central_interval(error[rows].sum(axis=1) / size[rows].sum(axis=1))


def _central_interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
