from __future__ import annotations

import numpy as np
import pytest
import torch
from _double_well import DoubleWell, true_model, wells
from _without_walls import WithoutWalls
from scipy.stats import norm

from scdiffot.core import FitConfig, RUOTModel
from scdiffot.core.genes.decoders import CallableDecoder, LinearDecoder, identity
from scdiffot.core.genes.perturbation import Intervention, contrasts, course
from scdiffot.core.lineage.contrasts import Contrasts, two_sided
from scdiffot.core.problem.snapshots import Scaling


def setting(decoder, position, value):
    """One gene at a value."""
    return change(decoder, [position], offset=[value])


def change(decoder, positions, *, scale=None, offset=None, floor=None):
    k = len(positions)
    parts = [
        torch.tensor(default if given is None else given, dtype=torch.float32)
        for given, default in ((scale, [0.0] * k), (offset, [0.0] * k), (floor, [-np.inf] * k))
    ]
    return Intervention(decoder, torch.tensor(positions), *parts)


class Cascade(WithoutWalls):
    """``dX = (-a X + c Y) dt + sigma dW, dY = -b Y dt + sigma dW`` with growth ``slope Y``, in the units of a solver."""

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
        """Probability that X is positive at a time, Y held at a value."""
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


def test_change_at_the_start_has_the_fate_of_where_it_puts_cells(well):
    process, model = well
    x = np.array([-1.2, -0.4, 0.1, 0.9])
    interventions = [setting(identity(1), 0, value) for value in (-0.3, 0.6)]
    found = contrasts(
        model, x[:, None], 0.0, interventions, target=(2.0, wells), n_trajectories=4000, rng=1
    )
    compared = found.compare()
    n, fate, _ = process.solve(np.concatenate([x, [-0.3, 0.6]]))
    for i, value in enumerate((4, 5)):
        expected = fate[value] - fate[:4]
        # 0.004 is the error of the steps
        np.testing.assert_allclose(
            compared.shift[i, :, 1], expected, atol=0.004 + 4 * compared.se[i, :, 1].max()
        )
        np.testing.assert_allclose(
            compared.ratio[i], n[value] / n[:4], rtol=0.01 + 4 * compared.ratio_se[i].max()
        )
    everything = found.pool(np.arange(4)).compare()
    share = (n[:4] * fate[:4]).sum() / n[:4].sum()
    np.testing.assert_allclose(
        everything.shift[:, 0, 1], fate[4:] - share, atol=0.004 + 4 * everything.se[:, 0, 1].max()
    )
    assert np.abs(everything.control[0, 0, 1] - share) < 0.004 + 4 * everything.control_se[0, 0, 1]


@pytest.mark.parametrize("value", [-0.7, 0.5])
def test_held_gene_is_a_constant(value):
    fields, model = cascade()
    x = np.random.default_rng(0).normal(size=(6, 2))
    held = setting(identity(2), 1, value)
    found = contrasts(
        model, x, 0.0, [held], target=(2.0, wells), sustained=True, n_trajectories=4000
    ).compare()
    expected = fields.share(x[:, 0], value, 2.0)
    np.testing.assert_allclose(
        found.perturbed[0, :, 1], expected, atol=0.004 + 4 * found.perturbed_se[0, :, 1].max()
    )
    # the growth depends on the held gene alone, so that every path has the same weight
    np.testing.assert_allclose(
        found.n_descendants[0, :, 1], np.exp(fields.slope * value * 2), rtol=1e-4
    )


def test_change_at_the_start_wears_off_where_a_held_one_does_not():
    _, model = cascade()
    x = np.zeros((4, 2))
    shifts = {}
    for sustained in (False, True):
        found = contrasts(
            model,
            x,
            0.0,
            [setting(identity(2), 1, 0.8)],
            target=(2.0, wells),
            sustained=sustained,
            n_trajectories=1000,
        )
        shifts[sustained] = found.pool(np.arange(4)).compare().shift[0, 0, 1]
    assert 0.1 < shifts[False] < shifts[True] - 0.05


def test_common_noise_makes_the_error_small_and_it_is_the_true_one(well):
    _, model = well
    x = np.linspace(-1, 1, 10)[:, None]
    # a tenth of what a cell has more
    more = change(identity(1), [0], scale=[1.1])
    runs = [
        contrasts(
            model, x, 0.0, [more], target=(2.0, wells), by_cell=False, n_trajectories=50, rng=seed
        ).compare()
        for seed in range(60)
    ]
    shift = np.array([run.shift[0, 0, 1] for run in runs])
    se = np.mean([run.se[0, 0, 1] for run in runs])
    unpaired = np.mean(
        [np.hypot(run.control_se[0, 0, 1], run.perturbed_se[0, 0, 1]) for run in runs]
    )
    # a standard deviation of 60 values has an error of a tenth
    np.testing.assert_allclose(shift.std(ddof=1), se, rtol=0.35)
    assert se < 0.6 * unpaired
    mass = np.array([run.ratio[0, 0] for run in runs])
    np.testing.assert_allclose(
        mass.std(ddof=1), np.mean([run.ratio_se[0, 0] for run in runs]), rtol=0.35
    )


@pytest.mark.parametrize("sustained", [False, True])
def test_no_change_changes_nothing(well, sustained):
    _, model = well
    x = np.linspace(-1, 1, 7)[:, None]
    same = change(identity(1), [0], scale=[1.0])
    found = contrasts(
        model, x, 0.0, [same], target=(2.0, wells), sustained=sustained, n_trajectories=40
    ).compare()
    assert np.all(found.shift == 0)
    assert np.all(found.ratio == 1)
    assert np.all(found.p_any() == 1)
    assert np.all(two_sided(found.shift, found.se) == 1)
    assert np.all(found.p_mass() == 1)


def test_p_values_are_even_without_an_effect(well):
    # From symmetric cells, mirror images have the same fates by count, though not path by path.
    process = DoubleWell(slope=0.0, tilts=(0.0, 0.0), levels=(0.0, 0.0))
    model = true_model(process)
    x = np.array([[-0.8], [-0.3], [0.3], [0.8]])
    mirror = change(identity(1), [0], scale=[-1.0])
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
    # 80 uniform values lie below 0.05 more than 10 times, or have a mean beyond these bounds, once in a thousand cases
    assert np.sum(np.array(p) < 0.05) <= 10
    assert 0.39 < np.mean(p) < 0.61


def test_many_share_one_control_and_sums_are_those_of_cells(well):
    _, model = well
    x = np.linspace(-1, 1, 9)[:, None]
    interventions = [setting(identity(1), 0, value) for value in np.linspace(-1, 1, 35)]
    done = []
    options = {"target": (2.0, wells), "n_trajectories": 500, "rng": 3}
    apart = contrasts(model, x, 0.0, interventions, **options, progress=done.append)
    assert apart.masses.shape == (35, 9, 2, 3)
    assert sum(done) == 35 * 9
    assert np.all(apart.masses[:, :, 0] == apart.masses[:1, :, 0])
    together = contrasts(model, x, 0.0, interventions, **options, by_cell=False)
    pooled = apart.pool(np.arange(9))
    np.testing.assert_allclose(together.masses, pooled.masses)
    np.testing.assert_allclose(together.covariance, pooled.covariance, atol=1e-15)
    assert together.n_paths.tolist() == [9 * 500]
    alone = contrasts(model, x, 0.0, interventions[34:], **options)
    np.testing.assert_allclose(alone.masses, apart.masses[34:], rtol=1e-5)


def test_a_rare_change_that_no_path_shows_has_an_error():
    masses = np.array([[[[5.0, 5.0, 0.0], [5.0, 5.0, 0.0]]]])
    found = Contrasts(masses, np.zeros((1, 1, 6, 6)), np.array([100])).compare()
    np.testing.assert_allclose(found.se[0, 0], [np.sqrt(0.5) / 100, np.sqrt(0.5) / 100, 0])


def test_displacement_of_components():
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
    quick, slow = (change(decoder, [6, 1, 4], **options)(z) for decoder in (linear, general))
    np.testing.assert_allclose(quick, slow, atol=1e-5)
    x = linear.decode(torch.tensor(z)).numpy()
    x[:, 6], x[:, 1], x[:, 4] = 1.2, x[:, 1] / 2, np.maximum(x[:, 4], 1.6)
    np.testing.assert_allclose(quick, linear.encode(torch.tensor(x)).numpy(), atol=1e-5)
    # states that are expression are set as they are
    z = rng.normal(size=(5, 8)).astype(np.float32)
    np.testing.assert_allclose(setting(identity(8), 2, 0.25)(z)[:, 2], 0.25, atol=1e-6)


def test_course_of_held_genes():
    """The held gene stays where it is; the other goes to where the law of the cascade takes it."""
    _, model = cascade()
    x = np.tile(np.array([[2.0, -1.0]]), (4000, 1))
    held = setting(identity(2), 1, 0.5)
    way = course(model, x, (0.0, 2.0), held, sustained=True, n_steps=20)
    assert way.shape == (40, 4000, 2)
    np.testing.assert_allclose(way[..., 1], 0.5, atol=1e-6)
    law, t = model.networks, np.arange(1, 41)[:, None] / 20
    mean = 2 * np.exp(-law.a * t) + law.c * 0.5 / law.a * (1 - np.exp(-law.a * t))
    np.testing.assert_allclose(way[..., :1].mean(axis=1), mean, atol=0.05)
    # at the start only: the gene decays
    once = course(model, x, (0.0, 2.0), held, n_steps=20)
    np.testing.assert_allclose(once[..., 1].mean(axis=1), 0.5 * np.exp(-law.b * t[:, 0]), atol=0.05)
    control = course(model, x, (0.0, 2.0), None, n_steps=20)
    np.testing.assert_allclose(control[..., 1].mean(axis=1), -np.exp(-law.b * t[:, 0]), atol=0.05)
