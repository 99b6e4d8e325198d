"""Optimisation in the eigenbasis of the gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scdiffot.core.nets.mlp import MLP
from scdiffot.core.nets.optimizer import EPS, Optimizer, Soap, one_cycle


def test_vectors_are_updated_as_by_adam():
    torch.manual_seed(0)
    start, targets = torch.randn(5), torch.randn(30, 5)
    first, second = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    soap = Soap(first, [torch.Size([5])], 0.1)
    adam = torch.optim.AdamW([second], lr=0.05, betas=(0.95, 0.95), eps=EPS, weight_decay=0.1)
    for target in targets:
        for parameter in (first, second):
            parameter.grad = None
            (parameter - target).square().sum().backward()
        soap.step(0.05)
        adam.step()
    np.testing.assert_allclose(first.detach(), second.detach(), rtol=1e-5)


def test_learning_rates_rise_to_the_peak_and_fall_to_zero():
    rates = list(one_cycle(2.0, 50))
    assert len(rates) == 50
    assert max(rates) == rates[5] == 2.0
    assert rates[0] == pytest.approx(0.08)
    assert (np.diff(rates[:6]) > 0).all()
    assert (np.diff(rates[5:]) < 0).all()
    assert 0 < rates[-1] < 0.01
    assert list(one_cycle(2.0, 1)) == pytest.approx([0.08])


def linear_fit(x: Tensor, y: Tensor, weight: Tensor, n_steps: int) -> Tensor:
    """Outputs of a linear layer that is regressed on `y`."""
    layer = nn.Linear(x.shape[1], y.shape[1], bias=False, dtype=x.dtype)
    layer.weight.data.copy_(weight)
    optimizer = Optimizer(layer, weight_decay=0.0)
    optimizer.begin_cycle(0.05, n_steps)
    for _ in range(n_steps):
        optimizer.step((layer(x) - y).square().mean())
    return layer(x).detach()


def test_rounding_does_not_rotate_the_bases():
    """Directions without gradient have no eigenvectors; rounding errors must not define them."""
    torch.manual_seed(0)
    x = torch.randn(200, 5)
    outputs = []
    for noise in (0.0, 1e-6):
        torch.manual_seed(1)
        net = MLP(5, 1, 32, 3)
        optimizer = Optimizer(net)
        optimizer.begin_cycle(0.01, 30)
        for _ in range(30):
            optimizer.step((net(x * (1 + noise)) - x[:, :1].sin()).square().mean())
        outputs.append(net(x).detach())
    assert outputs[0].std() > 0.1
    assert (outputs[1] - outputs[0]).abs().max() < 1e-3


def test_a_network_needs_a_third_of_adams_steps():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1000, 2, generator=generator) * 4 - 2
    y = torch.sin(3 * x[:, :1]) * x[:, 1:]
    torch.manual_seed(0)
    soap_net = MLP(2, 1, 32, 2)
    torch_net = MLP(2, 1, 32, 2)
    torch_net.load_state_dict(soap_net.state_dict())
    optimizer = Optimizer(soap_net)
    optimizer.begin_cycle(0.01, 400)
    for _ in range(400):
        optimizer.step((soap_net(x) - y).square().mean())
    adam = torch.optim.AdamW(torch_net.parameters(), lr=0.01, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 0.01, total_steps=1201, pct_start=0.1)
    for _ in range(1200):
        adam.zero_grad()
        (torch_net(x) - y).square().mean().backward()
        adam.step()
        schedule.step()
    errors = [float((net(x) - y).square().mean().detach()) for net in (soap_net, torch_net)]
    assert errors[0] < errors[1] / 3


def test_a_joint_basis_separates_a_signal_from_common_noise():
    """Two layers: their sum is noisy, and their difference is not."""
    differences = []
    for joint_groups in ((), (("one", "other"),)):
        net = nn.ModuleDict(
            {name: nn.Linear(1, 1, bias=False) for name in ("one", "other", "third")}
        )
        for parameter in net.parameters():
            nn.init.zeros_(parameter)
        one, other, third = net.parameters()
        optimizer = Optimizer(net, weight_decay=0.0, joint_groups=joint_groups, clip_factor=100.0)
        optimizer.begin_cycle(0.05, 150)
        for noise in torch.randn(150, generator=torch.Generator().manual_seed(0)):
            optimizer.step(
                (
                    50 * (one + other + noise).square()
                    + (one - other - 2).square()
                    + third.square()
                ).sum()
            )
        differences.append(float(one.detach() - other.detach()))
    assert differences[0] < 1
    assert differences[1] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("n", [3, 300])
def test_large_groups_keep_bases_of_their_own(n):
    """A joint basis of a large group would cost too much."""
    net = nn.ModuleDict({"one": nn.Linear(n, 4), "other": nn.Linear(n, 4)})
    x = torch.randn(50, n, generator=torch.Generator().manual_seed(0))
    optimizer = Optimizer(net, weight_decay=0.0, joint_groups=(("one", "other"),))
    optimizer.begin_cycle(0.05, 300)
    for _ in range(300):
        loss = (net["one"](x) - x[:, :1]).square().mean() + (
            net["other"](x) + x[:, 1:2]
        ).square().mean()
        optimizer.step(loss)
    assert float(loss.detach()) < 0.05


def test_parameters_are_views_of_one_vector():
    net = MLP(3, 1, 8, 2)
    x = torch.randn(5, 3)
    initial_outputs = net(x).detach()
    optimizer = Optimizer(net)
    assert optimizer.vector.numel() == sum(p.numel() for p in net.parameters())
    torch.testing.assert_close(net(x).detach(), initial_outputs)
    with torch.no_grad():
        optimizer.vector.zero_()
    assert not net(x).any()


@pytest.mark.parametrize("size", [3, 300])
def test_matrices_with_large_sides_are_trained(size):
    """Large sides have no basis, and the loss decreases nevertheless."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, size, generator=generator)
    y = x[:, :3] @ torch.randn(3, 4, generator=generator)
    assert (
        linear_fit(x, y, torch.zeros(4, size), 300) - y
    ).square().mean() < 0.05 * y.square().mean()
