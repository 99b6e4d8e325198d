"""Settings of the networks and of their optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scdiffot._utils.options import MAX_HIDDEN, MAX_LAYERS

from .setting import Settings, setting

# Hidden units of the networks by default, up to MAX_DIMS_NARROW dimensions and above.
N_HIDDEN_NARROW, N_HIDDEN_WIDE, MAX_DIMS_NARROW = 64, 128, 20


def default_n_hidden(n_dims: int) -> int:
    """Default width of the networks for states of `n_dims` dimensions."""
    return N_HIDDEN_NARROW if n_dims <= MAX_DIMS_NARROW else N_HIDDEN_WIDE


@dataclass(frozen=True)
class NetworkConfig(Settings):
    """Size of the networks.

    See Also
    --------
    FitConfig : All settings of a fit.
    """

    GROUP: ClassVar[str] = "networks"

    n_hidden: int = setting(
        None,
        f"Hidden units of a layer. None is {N_HIDDEN_NARROW} up to {MAX_DIMS_NARROW} dimensions "
        f"and {N_HIDDEN_WIDE} above.",
        low=1,
        high=MAX_HIDDEN,
        optional=True,
    )
    n_layers: int = setting(3, "Hidden layers.", low=1, high=MAX_LAYERS)


@dataclass(frozen=True)
class OptimizerConfig(Settings):
    """Adam in the eigenbasis of the gradients (SOAP), in one-cycle schedules.

    See Also
    --------
    FitConfig : All settings of a fit.
    """

    GROUP: ClassVar[str] = "optimizer"

    decay_mean: float = setting(0.95, "Decay per step of the mean of the gradient.", high=0.9999)
    decay_square: float = setting(
        0.95, "Decay per step of the mean of its square and of the preconditioner.", high=0.9999
    )
    weight_decay: float = setting(
        1e-4, "Decay of all parameters, except in the matching.", unit="learning rates", high=1e3
    )
    gradient_clip: float = setting(
        5.0, "Largest norm of the gradient, except in the matching.", above=True
    )
    decay_norm: float = setting(
        0.95,
        "Decay per step of the mean norm of the gradient, for the clip of the matching.",
        high=1,
    )
    refresh_interval: int = setting(
        10,
        "Steps between two updates of the eigenbases, which change slowly; an update costs more "
        "than a step.",
        low=1,
    )
    ridge: float = setting(
        1e-3,
        "Eigenvalues below this share of their sum are treated as equal, because their "
        "eigenvectors are noise.",
        high=1,
    )
    max_side: int = setting(
        256,
        "Largest side of a matrix with an eigenbasis; for larger ones a basis costs more than it "
        "saves.",
        low=1,
    )
    warm_up_share: float = setting(
        0.1, "Share of a cycle in which the learning rate rises.", high=0.999
    )
    start_factor: float = setting(
        0.04, "Initial learning rate of a cycle, relative to the peak.", high=1
    )
