from __future__ import annotations

import numpy as np
import pytest
import torch

from scdiffot.core.nets.fields import Clock, Fields
from scdiffot.core.nets.mlp import MLP

TIMES = torch.tensor([0.0, 1.0, 3.0])


def make_fields(
    *,
    d: int = 2,
    form: str = "separate",
    growth: bool = True,
    autonomous: bool = False,
    sigma: float = 0.5,
) -> Fields:
    torch.manual_seed(0)
    return Fields(
        TIMES,
        d,
        growth=growth,
        form=form,
        autonomous=autonomous,
        sigma=sigma,
        alpha=0.7,
        n_hidden=16,
        n_layers=3,
    ).double()


def states(n: int = 8, d: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, d, dtype=torch.float64, generator=generator), torch.linspace(
        0, 3, n, dtype=torch.float64
    )


@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_gradient_is_that_of_autograd(n_layers: int) -> None:
    torch.manual_seed(0)
    net = MLP(5, 1, 12, n_layers).double()
    x = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    value, gradient = net.value_and_gradient(x, 3)
    np.testing.assert_allclose(value.detach(), net(x)[:, 0].detach(), rtol=1e-12)
    (reference,) = torch.autograd.grad(net(x).sum(), x)
    np.testing.assert_allclose(gradient.detach(), reference[:, :3], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_gradient_is_differentiable_in_the_parameters(n_layers: int, training: bool) -> None:
    """The closed-form gradient has the right derivative in the parameters, also in training."""
    torch.manual_seed(0)
    net = MLP(5, 1, 6, n_layers).double().train(training)
    x = torch.randn(4, 5, dtype=torch.float64)
    value_target, gradient_target = (
        torch.randn(4, dtype=torch.float64),
        torch.randn(4, 3, dtype=torch.float64),
    )
    value, gradient = net.value_and_gradient(x, 3)
    x.requires_grad_()
    (reference,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    np.testing.assert_allclose(gradient.detach(), reference[:, :3].detach(), rtol=1e-10, atol=1e-14)
    loss = (value - value_target).square().sum() + (gradient - gradient_target).square().sum()
    exact = (net(x)[:, 0] - value_target).square().sum() + (
        reference[:, :3] - gradient_target
    ).square().sum()
    parameters = list(net.parameters())
    for derivative, expected in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(exact, parameters), strict=True
    ):
        np.testing.assert_allclose(derivative, expected, rtol=1e-9, atol=1e-12)


def test_clock_is_right_continuous_at_snapshots() -> None:
    clock = Clock(TIMES)
    k, progress = clock.locate(torch.tensor([0.0, 0.5, 1.0, 2.0, 3.0]))
    assert k.tolist() == [0, 0, 1, 1, 1]
    assert progress.tolist() == [0.0, 0.5, 0.0, 0.5, 1.0]
    left_limit, value, right_limit = clock(torch.tensor([1.0 - 1e-5, 1.0, 1.0 + 1e-5]))
    np.testing.assert_allclose(value, right_limit, atol=1e-4)
    # Progress falls from one to zero, and the indicator of the snapshot rises to one.
    assert float((value - left_limit).abs().max()) > 1.9
    assert float(value[-1] - left_limit[-1]) == 1.0
    assert clock(TIMES).shape == (3, clock.n_features)


def test_clock_of_two_snapshots_has_no_jump() -> None:
    clock = Clock(torch.tensor([0.0, 2.0]))
    features = clock(torch.linspace(0, 2, 2001))
    assert features.shape[1] == clock.n_features == 4
    assert float(features.diff(dim=0).abs().max()) < 0.01


@pytest.mark.parametrize("form", ["separate", "gradient"])
@pytest.mark.parametrize("autonomous", [False, True])
def test_flow_and_drift_differ_by_the_score(form: str, autonomous: bool) -> None:
    fields = make_fields(form=form, autonomous=autonomous)
    x, t = states()
    with torch.no_grad():
        out = fields(x, t)
        flow, growth = fields.flow_and_growth(x, t)
        drift, same_growth = fields.drift_and_growth(x, t)
    np.testing.assert_allclose(out["drift"] - out["flow"], 0.5**2 / 2 * out["score"], atol=1e-12)
    np.testing.assert_allclose(flow, out["flow"], atol=1e-12)
    np.testing.assert_allclose(growth, out["growth"], atol=1e-12)
    np.testing.assert_allclose(drift, out["drift"], atol=1e-12)
    np.testing.assert_allclose(same_growth, out["growth"], atol=1e-12)


def test_score_is_the_gradient_of_the_log_density() -> None:
    fields = make_fields()
    x, t = states()
    x.requires_grad_()
    out = fields(x, t)
    (reference,) = torch.autograd.grad(out["log_density"].sum(), x)
    np.testing.assert_allclose(out["score"].detach(), reference, atol=1e-12)


def test_gradient_form_obeys_the_optimality_condition() -> None:
    """Drift is the gradient of alpha times growth, so its Jacobian is symmetric."""
    fields = make_fields(form="gradient", d=3)
    x, t = states(d=3)
    x.requires_grad_()
    out = fields(x, t)
    (reference,) = torch.autograd.grad(out["growth"].sum() * fields.alpha, x)
    np.testing.assert_allclose(out["drift"].detach(), reference, atol=1e-12)

    def drift(z: torch.Tensor) -> torch.Tensor:
        return fields(z[None], t[:1])["drift"][0]

    jacobian = torch.autograd.functional.jacobian(drift, x[0].detach())
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-12)
    assert float(jacobian.abs().max()) > 1e-4


def test_autonomous_drift_and_growth_do_not_depend_on_time() -> None:
    x, _ = states()
    for form in ("separate", "gradient"):
        fields = make_fields(form=form, autonomous=True)
        with torch.no_grad():
            early, late = (fields(x, torch.full((8,), t, dtype=torch.float64)) for t in (0.2, 2.9))
        assert torch.equal(early["drift"], late["drift"])
        assert torch.equal(early["growth"], late["growth"])
        assert not torch.equal(early["score"], late["score"])


def test_growth_offset_acts_in_its_interval() -> None:
    fields = make_fields().eval()
    x, t = states()
    with torch.no_grad():
        original = fields(x, t)["growth"]
        fields.growth_offset.copy_(torch.tensor([0.5, -0.25]))
        shifted = fields(x, t)["growth"]
    np.testing.assert_allclose(shifted - original, np.where(t < 1, 0.5, -0.25))


@pytest.mark.parametrize("form", ["separate", "gradient"])
def test_growth_is_zero_without_growth(form: str) -> None:
    fields = make_fields(form=form, growth=False)
    with torch.no_grad():
        assert not fields(*states())["growth"].any()
        assert not fields.flow_and_growth(*states())[1].any()


def test_walls_stop_a_shift_and_reflect_noise() -> None:
    fields = make_fields()
    x = torch.tensor([[0.5, 0.5], [0.2, 0.1]], dtype=torch.float64)
    shift, noise = (
        torch.full_like(x, -0.4),
        torch.tensor([[-0.3, 0.2], [-0.1, -3.0]], dtype=torch.float64),
    )
    assert torch.equal(fields.move(x, shift, noise), x + shift + noise)
    fields.walls.copy_(torch.tensor([[0.0, -torch.inf], [1.0, torch.inf]]))
    torch.testing.assert_close(
        fields.move(x, shift), torch.tensor([[0.1, 0.1], [0.0, -0.3]], dtype=torch.float64)
    )
    expected = torch.tensor([[0.2, 0.3], [0.1, -3.3]], dtype=torch.float64)
    torch.testing.assert_close(fields.move(x, shift, noise), expected)
