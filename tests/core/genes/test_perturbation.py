"""Perturbations against the double well and a linear cascade with closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from _double_well import DoubleWell, true_model, wells
from _without_walls import WithoutWalls
from scipy.stats import norm

from scdiffot.core import FitConfig, RUOTModel
from scdiffot.core.genes.decoders import CallableDecoder, LinearDecoder, identity
from scdiffot.core.genes.perturbation import Intervention, contrasts, sample_trajectories
from scdiffot.core.lineage.contrasts import Contrasts, two_sided_p_values
from scdiffot.core.problem.snapshots import Scaling


def set_gene(decoder, position, value):
    """Return an intervention that sets one gene to a value."""
    return change_genes(decoder, [position], offset=[value])


def change_genes(decoder, positions, *, scale=None, offset=None, floor=None):
    k = len(positions)
    parts = [
        torch.tensor(default if values is None else values, dtype=torch.float32)
        for values, default in ((scale, [0.0] * k), (offset, [0.0] * k), (floor, [-np.inf] * k))
    ]
    return Intervention(decoder, torch.tensor(positions), *parts)


class Cascade(WithoutWalls):
    """A linear cascade with growth, in the solver's units.

    ``dX = (-a X + c Y) dt + sigma dW, dY = -b Y dt + sigma dW`` with growth ``slope Y``.
    """

    def __init__(self, scaling):
        super().__init__()
        self.scaling, self.n_dims = scaling, 2
        self.a, self.b, self.c, self.noise, self.slope = 0.8, 0.5, 1.2, 0.6, 0.3
        self.sigma = self.noise / scaling.scale * scaling.time_scale**0.5

    def drift_and_growth(self, x, t):
        s = self.scaling
        state = x * s.scale + torch.as_tensor(s.shift, dtype=x.dtype)
        drift = torch.stack(
            [-self.a * state[:, 0] + self.c * state[:, 1], -self.b * state[:, 1]], 1
        )
        return drift * s.time_scale / s.scale, self.slope * state[:, 1] * s.time_scale

    def share(self, x, y, time):
        """Return the probability that X is positive at a time, with Y held at y."""
        mean = x * np.exp(-self.a * time) + self.c * y / self.a * (1 - np.exp(-self.a * time))
        return norm.cdf(
            mean / (self.noise * np.sqrt((1 - np.exp(-2 * self.a * time)) / (2 * self.a)))
        )


def cascade():
    scaling = Scaling(np.array([0.3, -0.2]), 1.7, 0.0, 0.7)
    fields = Cascade(scaling)
    return fields, RUOTModel(fields, scaling, FitConfig(), np.array([0.0, 1.0, 2.0]), np.ones(3))


@pytest.fixture
def well():
    return DoubleWell(), true_model(DoubleWell())


def test_a_change_at_the_start_gives_the_fate_of_the_new_state(well):
    process, model = well
    x = np.array([-1.2, -0.4, 0.1, 0.9])
    interventions = [set_gene(identity(1), 0, value) for value in (-0.3, 0.6)]
    result = contrasts(
        model, x[:, None], 0.0, interventions, target=(2.0, wells), n_trajectories=4000, rng=1
    )
    comparison = result.compare()
    n, fate, _ = process.solve(np.concatenate([x, [-0.3, 0.6]]))
    for i, value in enumerate((4, 5)):
        shift = fate[value] - fate[:4]
        # 0.004 is the discretisation error
        np.testing.assert_allclose(
            comparison.shift[i, :, 1], shift, atol=0.004 + 4 * comparison.se[i, :, 1].max()
        )
        np.testing.assert_allclose(
            comparison.ratio[i], n[value] / n[:4], rtol=0.01 + 4 * comparison.ratio_se[i].max()
        )
    total = result.pool(np.arange(4)).compare()
    share = (n[:4] * fate[:4]).sum() / n[:4].sum()
    np.testing.assert_allclose(
        total.shift[:, 0, 1], fate[4:] - share, atol=0.004 + 4 * total.se[:, 0, 1].max()
    )
    assert np.abs(total.control[0, 0, 1] - share) < 0.004 + 4 * total.control_se[0, 0, 1]


@pytest.mark.parametrize("value", [-0.7, 0.5])
def test_a_held_gene_acts_as_a_constant(value):
    fields, model = cascade()
    x = np.random.default_rng(0).normal(size=(6, 2))
    intervention = set_gene(identity(2), 1, value)
    result = contrasts(
        model, x, 0.0, [intervention], target=(2.0, wells), sustained=True, n_trajectories=4000
    ).compare()
    share = fields.share(x[:, 0], value, 2.0)
    np.testing.assert_allclose(
        result.perturbed[0, :, 1], share, atol=0.004 + 4 * result.perturbed_se[0, :, 1].max()
    )
    # growth depends on the held gene only, so every trajectory has the same weight
    np.testing.assert_allclose(
        result.n_descendants[0, :, 1], np.exp(fields.slope * value * 2), rtol=1e-4
    )


def test_a_change_at_the_start_decays_unlike_a_held_gene():
    _, model = cascade()
    x = np.zeros((4, 2))
    shifts = {}
    for sustained in (False, True):
        result = contrasts(
            model,
            x,
            0.0,
            [set_gene(identity(2), 1, 0.8)],
            target=(2.0, wells),
            sustained=sustained,
            n_trajectories=1000,
        )
        shifts[sustained] = result.pool(np.arange(4)).compare().shift[0, 0, 1]
    assert 0.1 < shifts[False] < shifts[True] - 0.05


def test_common_noise_reduces_the_error_which_is_estimated_correctly(well):
    _, model = well
    x = np.linspace(-1, 1, 10)[:, None]
    # expression increases by 10 %
    increase = change_genes(identity(1), [0], scale=[1.1])
    runs = [
        contrasts(
            model,
            x,
            0.0,
            [increase],
            target=(2.0, wells),
            by_cell=False,
            n_trajectories=50,
            rng=seed,
        ).compare()
        for seed in range(60)
    ]
    shift = np.array([run.shift[0, 0, 1] for run in runs])
    se = np.mean([run.se[0, 0, 1] for run in runs])
    unpaired = np.mean(
        [np.hypot(run.control_se[0, 0, 1], run.perturbed_se[0, 0, 1]) for run in runs]
    )
    # the standard deviation of 60 values has a relative error of 10 %
    np.testing.assert_allclose(shift.std(ddof=1), se, rtol=0.35)
    assert se < 0.6 * unpaired
    mass = np.array([run.ratio[0, 0] for run in runs])
    np.testing.assert_allclose(
        mass.std(ddof=1), np.mean([run.ratio_se[0, 0] for run in runs]), rtol=0.35
    )


@pytest.mark.parametrize("sustained", [False, True])
def test_an_intervention_without_change_has_no_effect(well, sustained):
    _, model = well
    x = np.linspace(-1, 1, 7)[:, None]
    unchanged = change_genes(identity(1), [0], scale=[1.0])
    result = contrasts(
        model, x, 0.0, [unchanged], target=(2.0, wells), sustained=sustained, n_trajectories=40
    ).compare()
    assert np.all(result.shift == 0)
    assert np.all(result.ratio == 1)
    assert np.all(result.p_any() == 1)
    assert np.all(two_sided_p_values(result.shift, result.se) == 1)
    assert np.all(result.p_mass() == 1)


def test_p_values_are_uniform_without_an_effect(well):
    # cells are symmetric: mirror images have the same distribution of fates, not the same
    # trajectories
    process = DoubleWell(slope=0.0, tilts=(0.0, 0.0), levels=(0.0, 0.0))
    model = true_model(process)
    x = np.array([[-0.8], [-0.3], [0.3], [0.8]])
    mirror = change_genes(identity(1), [0], scale=[-1.0])
    p = [
        contrasts(
            model,
            x,
            0.0,
            [mirror],
            target=(2.0, wells),
            by_cell=False,
            n_trajectories=100,
            rng=seed,
        )
        .compare()
        .p_any()[0, 0]
        for seed in range(80)
    ]
    # of 80 uniform values, more than 10 are below 0.05, or the mean is outside of these bounds,
    # with probability 0.001
    assert np.sum(np.array(p) < 0.05) <= 10
    assert 0.39 < np.mean(p) < 0.61


def test_interventions_share_one_control_and_totals_are_sums_over_cells(well):
    _, model = well
    x = np.linspace(-1, 1, 9)[:, None]
    interventions = [set_gene(identity(1), 0, value) for value in np.linspace(-1, 1, 35)]
    n_completed = []
    options = {"target": (2.0, wells), "n_trajectories": 500, "rng": 3}
    by_cell = contrasts(model, x, 0.0, interventions, **options, progress=n_completed.append)
    assert by_cell.masses.shape == (35, 9, 2, 3)
    assert sum(n_completed) == 35 * 9
    assert np.all(by_cell.masses[:, :, 0] == by_cell.masses[:1, :, 0])
    total = contrasts(model, x, 0.0, interventions, **options, by_cell=False)
    pooled = by_cell.pool(np.arange(9))
    np.testing.assert_allclose(total.masses, pooled.masses)
    np.testing.assert_allclose(total.covariance, pooled.covariance, atol=1e-15)
    assert total.n_paths.tolist() == [9 * 500]
    last = contrasts(model, x, 0.0, interventions[34:], **options)
    np.testing.assert_allclose(last.masses, by_cell.masses[34:], rtol=1e-5)


def test_a_difference_has_an_error_even_if_no_pair_changes_class():
    masses = np.array([[[[5.0, 5.0, 0.0], [5.0, 5.0, 0.0]]]])
    result = Contrasts(masses, np.zeros((1, 1, 6, 6)), np.array([100])).compare()
    np.testing.assert_allclose(result.se[0, 0], [np.sqrt(0.5) / 100, np.sqrt(0.5) / 100, 0])


def test_displacements_of_linear_and_general_decoders_agree():
    rng = np.random.default_rng(0)
    loadings = torch.tensor(np.linalg.qr(rng.normal(size=(8, 3)))[0], dtype=torch.float32)
    linear = LinearDecoder(loadings, torch.tensor(rng.uniform(1, 2, 8), dtype=torch.float32))
    general = CallableDecoder(linear.encode, linear.decode)
    z = rng.normal(size=(5, 3)).astype(np.float32)
    options = {
        "scale": [0.0, 0.5, 1.0],
        "offset": [1.2, 0.0, 0.0],
        "floor": [-np.inf, -np.inf, 1.6],
    }
    linear_states, general_states = (
        change_genes(decoder, [6, 1, 4], **options)(z) for decoder in (linear, general)
    )
    np.testing.assert_allclose(linear_states, general_states, atol=1e-5)
    x = linear.decode(torch.tensor(z)).numpy()
    x[:, 6], x[:, 1], x[:, 4] = 1.2, x[:, 1] / 2, np.maximum(x[:, 4], 1.6)
    np.testing.assert_allclose(linear_states, linear.encode(torch.tensor(x)).numpy(), atol=1e-5)
    # if states are expression, the gene has exactly the new value
    z = rng.normal(size=(5, 8)).astype(np.float32)
    np.testing.assert_allclose(set_gene(identity(8), 2, 0.25)(z)[:, 2], 0.25, atol=1e-6)


def test_trajectories_with_held_genes_follow_the_cascade():
    """The held gene is constant; the other gene has the mean of the closed form."""
    _, model = cascade()
    x = np.tile(np.array([[2.0, -1.0]]), (4000, 1))
    intervention = set_gene(identity(2), 1, 0.5)
    states = sample_trajectories(model, x, (0.0, 2.0), intervention, sustained=True, n_steps=20)
    assert states.shape == (40, 4000, 2)
    np.testing.assert_allclose(states[..., 1], 0.5, atol=1e-6)
    fields, t = model.networks, np.arange(1, 41)[:, None] / 20
    mean = 2 * np.exp(-fields.a * t) + fields.c * 0.5 / fields.a * (1 - np.exp(-fields.a * t))
    np.testing.assert_allclose(states[..., :1].mean(axis=1), mean, atol=0.05)
    # without being held, the gene decays
    initial_only = sample_trajectories(model, x, (0.0, 2.0), intervention, n_steps=20)
    np.testing.assert_allclose(
        initial_only[..., 1].mean(axis=1), 0.5 * np.exp(-fields.b * t[:, 0]), atol=0.05
    )
    control = sample_trajectories(model, x, (0.0, 2.0), None, n_steps=20)
    np.testing.assert_allclose(
        control[..., 1].mean(axis=1), -np.exp(-fields.b * t[:, 0]), atol=0.05
    )
