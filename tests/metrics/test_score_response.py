"""All scores of a response together, and their bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffot import metrics
from scdiffot.core.scores.enrichment import neighbour_order, treated_share
from scdiffot.core.scores.response_scores import _nearest_neighbours, bootstrap, score_response


def value(score, *args, **kwargs) -> float:
    """The value in the result of a score."""
    result = score(*args, **kwargs)
    return result[0] if isinstance(result, tuple) else result


def test_all_scores_are_those_of_the_functions(clouds, rng):
    x, y, w, _ = clouds
    x, y = np.c_[x, x @ rng.normal(size=(4, 2))], np.c_[y, y @ rng.normal(size=(4, 2))]
    result = score_response(x, w, y)
    n = min(1 / np.sum((w / w.sum()) ** 2), 60)
    expected = {
        name: value(
            getattr(metrics, name), x, y, w, **({"k": n // 2} if name == "enrichment" else {})
        )
        for name in result
    }
    assert result == pytest.approx(expected, rel=1e-9)
    assert len(result) == 8


def test_genes_and_states_are_distinguished(clouds, rng):
    x, y, w, _ = clouds
    p, t = (
        rng.gamma(2, size=(80, 30)).astype(np.float32),
        rng.gamma(3, size=(60, 30)).astype(np.float32),
    )
    states, genes = (
        score_response(x, w, y),
        score_response(x, w, y, genes_predicted=p, genes_treated=t),
    )
    for name in ("l2_of_means", "energy_distance", "mmd", "enrichment"):
        assert genes[name] == states[name]
    for name in ("pearson_of_means", "r2_of_means", "marginal_distance", "feature_correlation_r"):
        assert genes[name] == pytest.approx(value(getattr(metrics, name), p, t, w), rel=1e-6)


def test_large_populations_are_subsampled_except_for_their_means(rng):
    x, y, w = rng.normal(size=(4000, 3)), rng.normal(size=(3000, 3)) + 1, rng.random(4000)
    result = score_response(x, w, y, n_max=500, rng=3)
    assert result["l2_of_means"] == pytest.approx(metrics.l2_of_means(x, y, w))
    # four standard errors of the distance of means of 500 cells of unit spread; the energy has a
    # slope below 2
    assert result["energy_distance"] == pytest.approx(
        metrics.energy_distance(x, y, w), abs=4 * 2 * np.sqrt(2 / 500)
    )
    assert result == score_response(x, w, y, n_max=500, rng=3)


def test_scores_that_are_not_defined_are_nan():
    constant = np.ones((20, 1))
    result = score_response(constant, None, constant)
    assert result["energy_distance"] == result["mmd"] == result["l2_of_means"] == 0
    assert np.isnan(
        [result["pearson_of_means"], result["r2_of_means"], result["feature_correlation_r"]]
    ).all()
    assert np.isnan(bootstrap(constant, None, constant, n_boot=5)["r2_of_means"]).all()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"treated": np.ones((5, 3))}, "`predicted` has 2 dimensions and `treated` has 3"),
        ({"treated": np.ones((1, 2))}, "`treated` has fewer than two"),
        ({"weights": np.ones(3)}, r"`weights` has shape \(3,\)"),
        ({"predicted": np.full((4, 2), np.nan)}, "`predicted` has 8 values"),
        ({"genes_treated": np.ones((5, 9))}, "`genes_predicted` is missing"),
        ({"genes_predicted": np.ones((4, 9))}, "`genes_treated` is missing"),
        (
            {"genes_predicted": np.ones((4, 9)), "genes_treated": np.ones((5, 8))},
            r"`genes_treated` has shape \(5, 8\)",
        ),
        (
            {"genes_predicted": np.ones((3, 9)), "genes_treated": np.ones((5, 9))},
            "for each of the 4 cells",
        ),
        (
            {"genes_predicted": np.full((4, 9), np.nan), "genes_treated": np.ones((5, 9))},
            "`genes_predicted` has values",
        ),
    ],
)
@pytest.mark.parametrize("function", [score_response, bootstrap])
def test_score_response_names_wrong_input(function, arguments, match):
    valid = {"predicted": np.eye(4, 2), "weights": None, "treated": np.eye(5, 2)}
    with pytest.raises(ValueError, match=match):
        function(**(valid | arguments))


def test_bootstrap_keeps_the_scores_and_reproduces(clouds):
    x, y, w, _ = clouds
    result = bootstrap(x, w, y, n_boot=20, rng=1)
    assert {name: first for name, (first, _, _) in result.items()} == score_response(x, w, y, rng=1)
    assert all(low <= middle <= high for middle, low, high in result.values())
    assert result == bootstrap(x, w, y, n_boot=20, rng=1)
    wide, narrow = (bootstrap(x, w, y, n_boot=200, level=level) for level in (0.95, 0.5))
    assert all(
        wide[name][1] <= narrow[name][1] <= narrow[name][2] <= wide[name][2] for name in wide
    )


def test_neighbours_beyond_twice_the_mass_are_ignored_in_resamples(rng):
    x, y = rng.normal(size=(300, 3)), rng.normal(size=(200, 3)) + 0.5
    a, b, mass = np.full(300, 1 / 300), np.full(200, 1 / 200), 0.2
    order = neighbour_order(x, y)
    near = _nearest_neighbours(order, a, b, 2 * mass)
    assert near.shape[1] < order.shape[1]
    for _ in range(20):
        p, q = rng.multinomial(300, a) / 300, rng.multinomial(200, b) / 200
        assert treated_share(near, p, q, mass=mass) == pytest.approx(
            treated_share(order, p, q, mass=mass), rel=1e-12
        )


@pytest.mark.slow
def test_intervals_have_about_their_nominal_coverage():
    # Gaussians at a distance of one in one of two dimensions, 60 cells each; closed-form truth.
    n, n_repeats, level = 60, 150, 0.9
    hits = dict.fromkeys(["l2_of_means", "energy_distance", "enrichment"], 0)
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(2, 5000, 2))
    truth = {
        "l2_of_means": 1.0,
        # sampling error of 5,000 cells, a tenth of the error of 60
        "energy_distance": metrics.energy_distance(grid[0] + [1, 0], grid[1]),
    }
    # the share among 30 of 60 neighbours depends on the numbers, so it is averaged over such
    # samples
    draws = rng.normal(size=(300, 2, n, 2))
    truth["enrichment"] = np.mean([metrics.enrichment(a + [1, 0], b, k=30) for a, b in draws])
    for _ in range(n_repeats):
        result = bootstrap(
            rng.normal(size=(n, 2)) + [1, 0], None, rng.normal(size=(n, 2)), n_boot=80, level=level
        )
        for name in hits:
            hits[name] += result[name][1] <= truth[name] <= result[name][2]
    for name, count in hits.items():
        # four binomial standard errors, and a few per cent for quantiles of only 80 draws
        assert count / n_repeats == pytest.approx(
            level, abs=4 * np.sqrt(level * (1 - level) / n_repeats)
        ), name


def test_intervals_narrow_as_cells_are_added(rng):
    widths = []
    for n in (100, 400):
        result = bootstrap(rng.normal(size=(n, 3)) + 1, None, rng.normal(size=(n, 3)), n_boot=200)
        widths.append(
            [result[name][2] - result[name][1] for name in ("l2_of_means", "energy_distance")]
        )
    # half the width with four times as many cells; quantiles of 200 draws vary by a sixth
    assert np.divide(*widths) == pytest.approx([2, 2], rel=0.35)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_boot": 1}, "`n_boot` is 1"),
        ({"level": 1.0}, "`level` is 1.0"),
        ({"level": 95}, "`level` is 95"),
    ],
)
def test_bootstrap_names_wrong_input(clouds, arguments, match):
    with pytest.raises(ValueError, match=match):
        bootstrap(clouds[0], None, clouds[1], **arguments)
