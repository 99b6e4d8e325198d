"""Derivatives of the fields against finite differences and closed forms."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scdiffot.core import FitConfig, RUOTModel
from scdiffot.core.genes.decoders import CallableDecoder, LinearDecoder, identity
from scdiffot.core.genes.regulation import (
    growth_gradients,
    growth_regulation,
    jacobians,
    regulation,
)
from scdiffot.core.nets.fields import Fields
from scdiffot.core.problem.snapshots import Scaling

TIMES = np.array([1.0, 3.0, 7.0])
D, G = 3, 7


def make_model(
    *,
    form: str = "separate",
    autonomous: bool = False,
    growth: bool = True,
    d: int = D,
    n_hidden: int = 24,
) -> RUOTModel:
    """Return untrained networks with larger weights, in units that differ from the user's."""
    scaling = Scaling(np.resize([0.3, -1.0, 2.0], d), 2.5, 1.0, 3.0)
    torch.manual_seed(0)
    fields = Fields(
        torch.as_tensor(scaling.time_in(TIMES), dtype=torch.float32),
        d,
        growth=growth,
        form=form,
        autonomous=autonomous,
        sigma=0.8,
        alpha=0.7,
        n_hidden=n_hidden,
        n_layers=3,
    )
    with torch.no_grad():
        for parameter in fields.parameters():
            # parameters that start at zero would have zero derivatives
            parameter.copy_(2 * parameter if parameter.any() else torch.randn_like(parameter) / 4)
    return RUOTModel(fields, scaling, FitConfig(form=form), TIMES, np.ones(3))


def make_cells(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    # snapshot times and times between them
    return rng.normal([0.3, -1, 2], 2.5, size=(n, D)), rng.choice([1.0, 2.2, 3.0, 5.5, 7.0], n)


class Differences:
    """Central differences in double precision, through the user's units."""

    def __init__(self, model: RUOTModel, step: float = 1e-5) -> None:
        self.fields = copy.deepcopy(model.networks).double()
        self.scaling, self.step = model.scaling, step

    def rates(self, x: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return drift and growth, shape ``(n, d + 1)``, in the user's units."""
        s = self.scaling
        # times are rounded to float32, as in the networks
        times = torch.tensor(s.time_in(t).astype(np.float32)).double()
        with torch.no_grad():
            drift, growth = self.fields.drift_and_growth(
                torch.tensor((x - s.shift) / s.scale), times
            )
        return np.column_stack([drift * s.scale / s.time_scale, growth / s.time_scale])

    def __call__(self, x: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return derivatives, shape ``(n, d + 1, d)``."""
        steps = self.step * np.eye(x.shape[1])
        derivatives = [
            (self.rates(x + e, t) - self.rates(x - e, t)) / (2 * self.step) for e in steps
        ]
        return np.stack(derivatives, axis=2)


def make_linear(seed: int = 2) -> LinearDecoder:
    rng = np.random.default_rng(seed)
    loadings = np.linalg.qr(rng.normal(size=(G, D)))[0]
    return LinearDecoder(torch.tensor(loadings, dtype=torch.float32), torch.arange(G) / 3)


def make_curved() -> CallableDecoder:
    """Return smooth maps that are not inverses of each other."""
    generator = torch.Generator().manual_seed(3)
    a, b = torch.randn(D, G, generator=generator), torch.randn(G, D, generator=generator)
    return CallableDecoder(
        lambda x: torch.tanh(x @ b.to(x.dtype) / 3),
        lambda z: torch.nn.functional.softplus(z @ a.to(z.dtype) / 2),
    )


def differences_of(function, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Return derivatives, shape ``(n, outputs, inputs)``, of a function, in double precision."""
    value = lambda y: function(torch.tensor(y)).numpy()
    return np.stack(
        [(value(x + e) - value(x - e)) / (2 * step) for e in step * np.eye(x.shape[1])], axis=2
    )


@pytest.mark.parametrize("form", ["separate", "gradient"])
@pytest.mark.parametrize("autonomous", [False, True])
def test_derivatives_are_finite_differences(form: str, autonomous: bool) -> None:
    model = make_model(form=form, autonomous=autonomous)
    x, t = make_cells()
    expected = Differences(model)(x, t)
    scale = np.abs(expected).max(axis=(0, 2))
    # a constant function would pass trivially
    assert scale.min() > 0.02
    result = jacobians(model, x, t)
    assert result.shape == (40, D, D)
    assert np.abs(result - expected[:, :D]).max() < 1e-4 * scale[:D].max()
    assert np.abs(growth_gradients(model, x, t) - expected[:, D]).max() < 1e-4 * scale[D]


def test_results_do_not_depend_on_chunk_sizes() -> None:
    model, decoder = make_model(), make_linear()
    x, t = make_cells()
    genes = np.arange(G)
    reference = jacobians(model, x, t), regulation(model, decoder, x, t, genes=genes)
    np.testing.assert_allclose(jacobians(model, x, t, chunk_size=7), reference[0], atol=1e-5)
    n_completed: list[int] = []
    chunked = regulation(
        model,
        decoder,
        x,
        t,
        genes=genes,
        chunk_size=9,
        block_size=100,
        progress=n_completed.append,
    )
    assert n_completed == [9, 9, 9, 9, 4]
    for name in ("mean", "sd", "stability"):
        np.testing.assert_allclose(getattr(chunked, name), getattr(reference[1], name), atol=1e-5)


def test_clipped_growth_has_no_gradient() -> None:
    model = make_model()
    x, t = make_cells()
    model.networks.growth_range[:] = torch.tensor([5.0, 6.0])
    assert not growth_gradients(model, x, t).any()
    assert jacobians(model, x, t).any()


@pytest.mark.parametrize("form", ["separate", "gradient"])
def test_a_model_without_growth_has_no_growth_gradient(form: str) -> None:
    x, t = make_cells()
    assert not growth_gradients(make_model(form=form, growth=False), x, t).any()


def test_no_cells_give_empty_arrays() -> None:
    model = make_model()
    assert jacobians(model, np.empty((0, D)), 1.0).shape == (0, D, D)
    assert growth_gradients(model, np.empty((0, D)), 1.0).shape == (0, D)


def test_gradient_form_is_symmetric_and_its_drift_is_the_growth_gradient() -> None:
    model = make_model(form="gradient")
    x, t = make_cells()
    jacobian = jacobians(model, x, t)
    np.testing.assert_allclose(jacobian, jacobian.transpose(0, 2, 1), atol=1e-5)
    # drift = alpha grad g, with alpha of 0.7 in units of squared state
    np.testing.assert_allclose(
        growth_gradients(model, x, t) * 0.7 * 2.5**2, model.drift(x, t), atol=1e-4
    )
    separate = jacobians(make_model(), x, t)
    assert np.abs(separate - separate.transpose(0, 2, 1)).max() > 0.1 * np.abs(separate).max()


def check_spread(summary, single: np.ndarray) -> None:
    """Compare a summary with the derivatives of single cells, up to their numerical error."""
    scale = np.abs(single).max()
    mean = single.mean(axis=0)
    np.testing.assert_allclose(summary.mean, mean, atol=1e-4 * scale)
    np.testing.assert_allclose(summary.sd, single.std(axis=0), atol=1e-4 * scale)
    stability = (np.sign(single) == np.sign(mean)).mean(axis=0)
    # derivatives close to zero may have either sign, in one of 40 cells
    np.testing.assert_allclose(summary.stability, stability, atol=1 / 40 + 1e-6)
    assert (np.abs(summary.stability - stability) > 1e-6).mean() < 0.05


def test_derivatives_through_a_linear_decoder() -> None:
    model, decoder = make_model(), make_linear()
    x, t = make_cells()
    latent = Differences(model)(x, t)
    weights = decoder.loadings.numpy().astype(float)
    single = np.einsum("gi,nij,hj->ngh", weights, latent[:, :D], weights)
    check_spread(regulation(model, decoder, x, t, genes=np.arange(G)), single)
    check_spread(
        growth_regulation(model, decoder, x, t, genes=np.arange(G)), latent[:, D] @ weights.T
    )
    with_decay = regulation(model, decoder, x, t, genes=np.arange(G), decay=0.3)
    check_spread(with_decay, single + 0.3 * weights @ weights.T)
    genes = np.array([5, 0, 3])
    check_spread(regulation(model, decoder, x, t, genes=genes), single[:, genes][:, :, genes])


def test_derivatives_through_a_curved_decoder() -> None:
    model, decoder = make_model(), make_curved()
    x, t = make_cells()
    latent = Differences(model)(x, t)
    profile = decoder.decode(torch.tensor(x)).numpy()
    decoding, encoding = differences_of(decoder.decode, x), differences_of(decoder.encode, profile)
    genes = np.array([5, 0, 3, 6])
    single = (decoding @ latent[:, :D] @ encoding)[:, genes][:, :, genes]
    check_spread(regulation(model, decoder, x, t, genes=genes), single)
    growth = np.einsum("ni,nig->ng", latent[:, D], encoding)[:, genes]
    check_spread(growth_regulation(model, decoder, x, t, genes=genes), growth)


def test_a_linear_decoder_and_its_functions_give_the_same_result() -> None:
    model, linear = make_model(), make_linear()
    x, t = make_cells()
    as_functions = CallableDecoder(linear.encode, linear.decode)
    for function in (regulation, growth_regulation):
        reference, result = (
            function(model, decoder, x, t, genes=np.arange(G)) for decoder in (linear, as_functions)
        )
        np.testing.assert_allclose(reference.mean, result.mean, atol=1e-6)
        np.testing.assert_allclose(reference.sd, result.sd, atol=1e-6)


BENCHMARK_SCRIPT = """
import resource
import numpy as np, torch
from scdiffot.core.genes.decoders import LinearDecoder
from scdiffot.core.genes.regulation import regulation
from test_regulation import make_model
rng = np.random.default_rng(0)
model = make_model(d=50, n_hidden=128)
loadings = torch.tensor(np.linalg.qr(rng.normal(size=(2000, 50)))[0], dtype=torch.float32)
start = resource.getrusage(resource.RUSAGE_SELF)
decoder = LinearDecoder(loadings, torch.zeros(2000))
summary = regulation(model, decoder, rng.normal(size=(1000, 50)), 2.0, genes=np.arange(2000))
assert summary.mean.shape == (2000, 2000)
end = resource.getrusage(resource.RUSAGE_SELF)
print(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime, end.ru_maxrss / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems measure memory in other units")
def test_two_thousand_genes_need_little_time_and_memory() -> None:
    process = subprocess.run(
        [sys.executable, "-c", BENCHMARK_SCRIPT],
        cwd=Path(__file__).parent,
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, gigabytes = map(float, process.stdout.split())
    # processor time, which does not depend on other processes
    assert seconds < 60
    assert gigabytes < 4


class LinearFields(nn.Module):
    """``dX = (A x + c) dt`` with ``g = slope x``, in the solver's units."""

    def __init__(self, matrix: np.ndarray, slope: np.ndarray, scaling: Scaling) -> None:
        super().__init__()
        self.matrix, self.slope, self.scaling, self.n_dims = matrix, slope, scaling, len(matrix)

    def drift_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        s = self.scaling
        state = x * s.scale + torch.tensor(s.shift, dtype=x.dtype)
        drift = state @ torch.tensor(self.matrix.T, dtype=x.dtype) + 1
        growth = state @ torch.tensor(self.slope, dtype=x.dtype)
        return drift * s.time_scale / s.scale, growth * s.time_scale


def test_the_jacobian_of_an_ornstein_uhlenbeck_process_is_its_matrix() -> None:
    matrix = np.array([[-1.0, 0.4, 0.0], [-0.3, -0.5, 0.2], [0.7, 0.0, -2.0]])
    slope = np.array([0.5, 0.0, -0.2])
    scaling = Scaling(np.array([0.3, 1.0, -2.0]), 2.5, 1.0, 3.0)
    model = RUOTModel(LinearFields(matrix, slope, scaling), scaling, FitConfig(), TIMES, np.ones(3))
    x, t = make_cells()
    np.testing.assert_allclose(
        jacobians(model, x, t), np.broadcast_to(matrix, (40, 3, 3)), atol=1e-6
    )
    np.testing.assert_allclose(
        growth_gradients(model, x, t), np.broadcast_to(slope, (40, 3)), atol=1e-6
    )
    summary = regulation(model, identity(3), x, t, genes=np.arange(3))
    np.testing.assert_allclose(summary.mean, matrix, atol=1e-6)
    # a constant derivative has no standard deviation: squares are summed without cancellation
    assert summary.sd.max() < 1e-6
    np.testing.assert_array_equal(summary.stability, np.where(matrix == 0, 0.5, 1))
    growth = growth_regulation(model, identity(3), x, t, genes=np.array([2, 0]))
    np.testing.assert_allclose(growth.mean, slope[[2, 0]], atol=1e-6)
