"""A small autoencoder of expression profiles."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from scdiffot._utils.errors import damaged
from scdiffot._utils.layouts import Array, Record, Scalar, read, read_weights
from scdiffot.core.nets.seeding import first_generator, linear

Likelihood = Literal["gaussian", "nb"]
LAYOUT = Record(
    {
        "likelihood": Scalar("text", options=get_args(Likelihood)),
        "weights": Record({"encoder_hidden_weight": Array(("h", "G")), "shift": Array(("d",))}),
    }
)


class Autoencoder(nn.Module):
    """Encoder and decoder, each a linear map plus a perceptron of one hidden layer.

    For a normal likelihood, profiles are expression values. For a negative binomial likelihood they
    are log1p of counts at a total of 10,000, and the decoder returns
    ``softplus(a) = log1p(exp(a))`` of the log rate ``a``. All maps are smooth.

    Parameters
    ----------
    n_genes, n_latent, n_hidden
        Number of genes, of latent dimensions, and of hidden units.
    likelihood
        ``"gaussian"`` or ``"nb"``.
    generator
        Source of the initial weights; unused if they are replaced by stored weights.

    See Also
    --------
    scdiffot.core.genes.autoencoder_fit.fit_autoencoder : Train an autoencoder.
    scdiffot.core.genes.decoders.Decoder : The interface of all decoders.
    """

    def __init__(
        self,
        n_genes: int,
        n_latent: int,
        n_hidden: int,
        likelihood: Likelihood,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        generator = generator or first_generator()
        self.likelihood = likelihood
        self.encoder_line = linear(n_genes, n_latent, generator, bias=False)
        self.encoder_hidden = linear(n_genes, n_hidden, generator)
        self.encoder_out = linear(n_hidden, n_latent, generator, bias=False)
        self.decoder_line = linear(n_latent, n_genes, generator)
        self.decoder_hidden = linear(n_latent, n_hidden, generator)
        self.decoder_out = linear(n_hidden, n_genes, generator, bias=False)
        self.log_dispersion = nn.Parameter(torch.zeros(n_genes))
        # location and scale: centre, spread of profiles; shift, scale of latent states
        self.centre: Tensor
        self.spread: Tensor
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("centre", torch.zeros(n_genes))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("shift", torch.zeros(n_latent))
        self.register_buffer("scale", torch.ones(n_latent))

    def encode(self, x: Tensor) -> Tensor:
        """Encode expression profiles, shape ``(n, G)``, as states, shape ``(n, d)``."""
        x = (x - self.centre) / self.spread
        hidden = nn.functional.silu(self.encoder_hidden(x))
        return (self.encoder_line(x) + self.encoder_out(hidden) - self.shift) / self.scale

    def decode(self, z: Tensor) -> Tensor:
        """Decode states, shape ``(n, d)``, to expression profiles, shape ``(n, G)``."""
        predictor = self.predict(z)
        return predictor if self.likelihood == "gaussian" else nn.functional.softplus(predictor)

    def predict(self, z: Tensor) -> Tensor:
        """Expression, or log rates of counts, shape ``(n, G)``, of states, shape ``(n, d)``."""
        h = z * self.scale + self.shift
        return self.decoder_line(h) + self.decoder_out(nn.functional.silu(self.decoder_hidden(h)))

    def to_arrays(self) -> dict[str, Any]:
        """Return arrays and strings from which :meth:`from_arrays` rebuilds the autoencoder."""
        weights = {
            name.replace(".", "_"): value.cpu().numpy() for name, value in self.state_dict().items()
        }
        return {"likelihood": self.likelihood, "weights": weights}

    @staticmethod
    def shapes(n_genes: int, n_latent: int, n_hidden: int) -> dict[str, tuple[int, ...]]:
        """Shapes of all stored parameters and buffers, without building a network."""
        return {
            "encoder_line.weight": (n_latent, n_genes),
            "encoder_hidden.weight": (n_hidden, n_genes),
            "encoder_hidden.bias": (n_hidden,),
            "encoder_out.weight": (n_latent, n_hidden),
            "decoder_line.weight": (n_genes, n_latent),
            "decoder_line.bias": (n_genes,),
            "decoder_hidden.weight": (n_hidden, n_latent),
            "decoder_hidden.bias": (n_hidden,),
            "decoder_out.weight": (n_genes, n_hidden),
            "log_dispersion": (n_genes,),
            "centre": (n_genes,),
            "spread": (),
            "shift": (n_latent,),
            "scale": (n_latent,),
        }

    @classmethod
    def from_arrays(cls, arrays: Any, *, place: str = "arrays") -> Autoencoder:
        """Rebuild an autoencoder from :meth:`to_arrays`; errors name the location `place`.

        Raises
        ------
        StoredFitError
            If the arrays are not those of an autoencoder.
        """
        sizes: dict[str, int] = {}
        stored = read(arrays, LAYOUT, place, sizes)
        size = (sizes["G"], sizes["d"], sizes["h"])
        shapes = {
            name.replace(".", "_"): (name, shape) for name, shape in cls.shapes(*size).items()
        }
        weights = read_weights(
            stored["weights"],
            {name: shape for name, (_, shape) in shapes.items()},
            f"{place}['weights']",
        )
        if weights["spread"] <= 0 or (weights["scale"] == 0).any():
            raise damaged(f"{place}['weights']", "holds a scale that is not positive")
        model = cls(*size, stored["likelihood"])
        model.load_state_dict(
            {shapes[name][0]: torch.from_numpy(value) for name, value in weights.items()}
        )
        return model.eval().requires_grad_(False)
