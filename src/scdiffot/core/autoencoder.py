"""A small autoencoder of expression profiles."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

Likelihood = Literal["gaussian", "nb"]


class Autoencoder(nn.Module):
    """Encoder and decoder, each a linear map plus a perceptron of one hidden layer.

    Profiles are expression as it is for a normal likelihood, and log1p of counts at a total of 10,000 for a negative binomial one,
    whose decoder gives ``softplus(a) = log1p(exp(a))`` of the log rate ``a``. All maps are smooth.

    Parameters
    ----------
    n_genes, n_latent, n_hidden
        Number of genes, of latent dimensions, and of hidden units.
    likelihood
        ``"gaussian"`` or ``"nb"``.
    """

    def __init__(self, n_genes: int, n_latent: int, n_hidden: int, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood = likelihood
        self.encoder_line = nn.Linear(n_genes, n_latent, bias=False)
        self.encoder_hidden = nn.Linear(n_genes, n_hidden)
        self.encoder_out = nn.Linear(n_hidden, n_latent, bias=False)
        self.decoder_line = nn.Linear(n_latent, n_genes)
        self.decoder_hidden = nn.Linear(n_latent, n_hidden)
        self.decoder_out = nn.Linear(n_hidden, n_genes, bias=False)
        self.log_dispersion = nn.Parameter(torch.zeros(n_genes))
        # Centre and spread of the profiles; and of the latent states before they are standardised.
        self.centre: Tensor
        self.spread: Tensor
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("centre", torch.zeros(n_genes))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("shift", torch.zeros(n_latent))
        self.register_buffer("scale", torch.ones(n_latent))

    def encode(self, x: Tensor) -> Tensor:
        """States (n, d) of expression profiles (n, G)."""
        x = (x - self.centre) / self.spread
        hidden = nn.functional.silu(self.encoder_hidden(x))
        return (self.encoder_line(x) + self.encoder_out(hidden) - self.shift) / self.scale

    def decode(self, z: Tensor) -> Tensor:
        """Expression profiles (n, G) of states (n, d)."""
        predictor = self.predict(z)
        return predictor if self.likelihood == "gaussian" else nn.functional.softplus(predictor)

    def predict(self, z: Tensor) -> Tensor:
        """Expression, or log rates of counts, (n, G) of states (n, d)."""
        h = z * self.scale + self.shift
        return self.decoder_line(h) + self.decoder_out(nn.functional.silu(self.decoder_hidden(h)))

    def to_arrays(self) -> dict[str, Any]:
        """Plain arrays and strings from which :meth:`from_arrays` rebuilds it."""
        weights = {name.replace(".", "_"): value.cpu().numpy() for name, value in self.state_dict().items()}
        return {"likelihood": self.likelihood, "weights": weights}

    @classmethod
    def from_arrays(cls, arrays: Any) -> Autoencoder:
        """Rebuild it from :meth:`to_arrays`."""
        weights = {name: torch.tensor(np.asarray(value)) for name, value in arrays["weights"].items()}
        n_hidden, n_genes = weights["encoder_hidden_weight"].shape
        found = cls(n_genes, len(weights["shift"]), n_hidden, str(arrays["likelihood"]))  # type: ignore[arg-type]
        found.load_state_dict({name: weights[name.replace(".", "_")] for name in found.state_dict()})
        return found.eval().requires_grad_(False)
