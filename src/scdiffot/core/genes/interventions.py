"""Genes set to other values, at the start of a trajectory or along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .decoders import Decoder, LinearDecoder

if TYPE_CHECKING:
    import numpy as np

    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.problem.snapshots import Scaling


@dataclass(frozen=True)
class Intervention:
    """Genes that are set to ``max(scale * expression + offset, floor)``.

    The expression of a state z is ``decode(z)``. With the new expression x', the state becomes
    ``z + encode(x') - encode(decode(z))``. Components of the state that the decoder does not
    represent are unchanged, and so is the state if x' is the decoded expression.

    Parameters
    ----------
    decoder
        Map between states, in the user's units, and expression.
    positions
        Positions of the genes among those of the decoder, shape ``(k,)``.
    scale, offset, floor
        Coefficients of the new values, shape ``(k,)`` each.

    See Also
    --------
    scdiffot.core.genes.perturbation.contrasts : Fates with and without interventions.
    HeldFields : Fields with genes held.
    """

    decoder: Decoder
    positions: Tensor
    scale: Tensor
    offset: Tensor
    floor: Tensor

    def target(self, x: Tensor) -> Tensor:
        """New values of the genes from their expression, both of shape ``(n, k)``."""
        return torch.maximum(x * self.scale + self.offset, self.floor)

    @torch.no_grad()
    def displacement(self, z: Tensor) -> Tensor:
        """Displacement of states, shape ``(n, d)``."""
        if isinstance(self.decoder, LinearDecoder):
            loadings = self.decoder.loadings[self.positions]
            x = z @ loadings.T + self.decoder.mean[self.positions]
            return (self.target(x) - x) @ loadings
        x = self.decoder.decode(z)
        perturbed = x.index_copy(1, self.positions, self.target(x[:, self.positions]))
        return self.decoder.encode(perturbed) - self.decoder.encode(x)

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Return states, shape ``(n, d)``, with the genes set."""
        z = torch.as_tensor(states, dtype=torch.float32)
        return (z + self.displacement(z)).numpy()


class HeldFields(nn.Module):
    """Drift and growth of cells in which genes are held at fixed values.

    Fields are evaluated at the state with the genes set, at every evaluation, so the change does
    not accumulate. If states are expression profiles, this is the system in which the held genes
    are constant.

    Parameters
    ----------
    fields
        The networks.
    intervention
        The genes and their values.
    scaling
        Change of units.

    See Also
    --------
    Intervention : The genes and their values.
    scdiffot.core.nets.fields.Fields : The networks.
    """

    def __init__(self, fields: Fields, intervention: Intervention, scaling: Scaling) -> None:
        super().__init__()
        self.fields, self.n_dims, self.sigma = fields, fields.n_dims, fields.sigma
        self._shift: Tensor
        self._intervention, self._scale = intervention, float(scaling.scale)
        self.register_buffer(
            "_shift", torch.as_tensor(scaling.shift, dtype=torch.float32), persistent=False
        )

    def move(self, x: Tensor, shift: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return states after a shift and noise."""
        return self.fields.move(x, shift, noise)

    def drift_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Drift, shape ``(n, d)``, and growth, shape ``(n,)``, in the solver's units."""
        displacement = self._intervention.displacement(x * self._scale + self._shift)
        return self.fields.drift_and_growth(x + displacement / self._scale, t)
