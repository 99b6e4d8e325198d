"""Training of an autoencoder that starts from the principal components."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from scdiffot.core.nets.devices import resolve_device
from scdiffot.core.nets.divergence import check_loss
from scdiffot.core.nets.seeding import torch_generator
from scdiffot.core.problem.config import Progress

from .autoencoder import Autoencoder, Likelihood
from .autoencoder_profiles import (
    MIN_RATE,
    ProfileMoments,
    ProfileReader,
    compute_moments,
    principal_components,
    split_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from scipy.sparse import csr_matrix

History = dict[str, np.ndarray | float | bool]

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4
GRADIENT_CLIP = 5.0


def fit_autoencoder(
    values: np.ndarray | csr_matrix,
    totals: np.ndarray,
    *,
    n_latent: int,
    likelihood: Likelihood,
    n_hidden: int,
    max_epochs: int,
    patience: int,
    n_validation: int,
    batch_size: int,
    rng: np.random.Generator,
    device: str | torch.device = "auto",
    callback: Callable[[Progress], None] | None = None,
) -> tuple[Autoencoder, np.ndarray, History]:
    """Fit an autoencoder, from the principal components, with early stopping on held-out cells.

    Parameters
    ----------
    values
        Expression, or counts, shape ``(n, G)``, dense or compressed by rows. Only batches of cells
        are made dense.
    totals
        Counts of every cell over all genes, shape ``(n,)``; unused for a normal likelihood.
    n_latent, likelihood, n_hidden
        See :class:`Autoencoder`.
    max_epochs, patience
        Maximum number of epochs, and of epochs without an improvement.
    n_validation
        Number of held-out cells.
    batch_size
        Cells in a step.
    rng
        Generator.
    device
        ``"auto"`` (CUDA if available), or a torch device.
    callback
        Called after every epoch.

    Returns
    -------
    The autoencoder; the states of all cells, shape ``(n, d)``, with mean 0 and standard deviation 1
    in every dimension; and the history. The history holds ``loss`` and ``loss_validation`` of every
    epoch, starting before the first; ``explained`` and ``explained_pca``, the explained share of
    the variance or deviance of held-out cells; and ``interrupted``.

    See Also
    --------
    scdiffot.core.genes.autoencoder.Autoencoder : The network.
    scdiffot.core.genes.autoencoder_profiles.principal_components : The starting point.
    """
    reader = ProfileReader(values, totals, likelihood, resolve_device(device))
    return _Training(reader, n_validation, rng).run(
        n_latent, n_hidden, max_epochs, patience, batch_size, callback
    )


class _Training:
    """One fit: training and held-out cells, their moments, and losses on them."""

    def __init__(self, reader: ProfileReader, n_validation: int, rng: np.random.Generator) -> None:
        self.reader, self.rng = reader, rng
        order = rng.permutation(reader.values.shape[0])
        self.validation_rows = np.sort(order[:n_validation])
        self.training_rows = np.sort(order[n_validation:])

    def run(
        self,
        n_latent: int,
        n_hidden: int,
        max_epochs: int,
        patience: int,
        batch_size: int,
        callback: Callable[[Progress], None] | None,
    ) -> tuple[Autoencoder, np.ndarray, History]:
        generator = torch_generator(self.rng)
        n_genes = self.reader.values.shape[1]
        model = Autoencoder(n_genes, n_latent, n_hidden, self.reader.likelihood, generator)
        self._initialise(model)
        model.to(self.reader.device)
        explained_pca = self._explained(self._pca)
        log, interrupted = self._train(model, max_epochs, patience, batch_size, callback)
        model.requires_grad_(False)
        explained = self._explained(lambda x: model.decode(model.encode(x)))
        states = self._states(model)
        model.shift.copy_(torch.as_tensor(states.mean(axis=0)))
        model.scale.copy_(torch.as_tensor(states.std(axis=0)).clamp_min(1e-12))
        states = self._states(model).astype(np.float32)
        history: History = dict(zip(("loss", "loss_validation"), np.array(log).T, strict=True))
        history |= {
            "explained": explained,
            "explained_pca": explained_pca,
            "interrupted": interrupted,
        }
        return model.eval().cpu(), states, history

    def _initialise(self, model: Autoencoder) -> None:
        """Start from the principal components of the training cells, with perceptrons at zero."""
        self.moments: ProfileMoments = compute_moments(self.reader, self.training_rows)
        mean = self.moments.mean
        self.mean = mean.float().to(self.reader.device)
        spread = math.sqrt(self.moments.variance / len(mean))
        components, deviations = principal_components(
            self.reader, self.training_rows, self.mean, len(model.shift), self.rng
        )
        self.components = components.to(self.reader.device)
        line = components.T * deviations
        bias = mean.float()
        if self.reader.likelihood == "nb":
            bias = self.moments.rates.clamp_min(MIN_RATE).log().float()
            # the derivative of the log rate in log1p of the rate is large for rare genes
            line = line / torch.sigmoid(bias)[:, None].clamp_min(0.2)
        with torch.no_grad():
            model.centre.copy_(mean)
            model.spread.fill_(spread)
            model.encoder_line.weight.copy_(components * spread / deviations[:, None])
            model.decoder_line.weight.copy_(line)
            model.decoder_line.bias.copy_(bias)
            model.encoder_out.weight.zero_()
            model.decoder_out.weight.zero_()

    def _train(
        self,
        model: Autoencoder,
        max_epochs: int,
        patience: int,
        batch_size: int,
        callback: Callable[[Progress], None] | None,
    ) -> tuple[list[tuple[float, float]], bool]:
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        log = [
            (self._validate(model, self.training_rows), self._validate(model, self.validation_rows))
        ]
        for value in log[0]:
            check_loss(value, abs(value), 0)
        best, best_epoch, interrupted = _copy(model), 0, False
        try:
            for epoch in range(1, max_epochs + 1):
                loss = self._epoch(model, optimizer, batch_size)
                log.append((loss, self._validate(model, self.validation_rows)))
                for value in log[-1]:
                    check_loss(value, abs(log[0][1]), epoch)
                if callback is not None:
                    callback(Progress("training", epoch, max_epochs, log[-1][1]))
                if log[-1][1] < log[best_epoch][1]:
                    best, best_epoch = _copy(model), epoch
                elif epoch - best_epoch >= patience:
                    break
        except KeyboardInterrupt:
            interrupted = True
        model.load_state_dict(best)
        return log, interrupted

    def _epoch(
        self, model: Autoencoder, optimizer: torch.optim.Optimizer, batch_size: int
    ) -> float:
        total = 0.0
        for rows in split_rows(self.rng.permutation(self.training_rows), batch_size):
            loss = self._loss(model, rows)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        return total / len(self.training_rows)

    @torch.no_grad()
    def _validate(self, model: Autoencoder, cells: np.ndarray) -> float:
        return sum(float(self._loss(model, rows)) * len(rows) for rows in split_rows(cells)) / len(
            cells
        )

    def _loss(self, model: Autoencoder, rows: np.ndarray) -> Tensor:
        """Squared error over the variance, or negative log-likelihood per count.

        The log-likelihood omits a constant.
        """
        x, target, sizes = self.reader.read(rows)
        prediction = model.predict(model.encode(x))
        if self.reader.likelihood == "gaussian":
            return (prediction - target).square().sum(1).mean() / self.moments.variance
        log_mean, log_d = prediction + sizes.log(), model.log_dispersion
        d = log_d.exp()
        likelihood = (d * log_d - (target + d) * torch.logaddexp(log_d, log_mean)).sum()
        # these terms are slow to compute, and zero for the zero counts, which are most counts
        nonzero = target.nonzero(as_tuple=True)
        positive_counts, dispersion = target[nonzero], d[nonzero[1]]
        likelihood = (
            likelihood
            + (positive_counts * log_mean[nonzero]).sum()
            - torch.lgamma(d)[nonzero[1]].sum()
        )
        return -(likelihood + torch.lgamma(positive_counts + dispersion).sum()) / target.numel()

    def _pca(self, x: Tensor) -> Tensor:
        return (x - self.mean) @ self.components.T @ self.components + self.mean

    @torch.no_grad()
    def _explained(self, reconstruct: Callable[[Tensor], Tensor]) -> float:
        """Explained share of the variance, or of the Poisson deviance, of held-out cells."""
        residual = null = 0.0
        # decoded profiles may be means of logarithms or logarithms of means, so the rates of every
        # gene are scaled to its total over the training cells
        factor = 1.0 if self.reader.likelihood == "gaussian" else self._calibration(reconstruct)
        for rows in split_rows(self.validation_rows):
            x, target, sizes = self.reader.read(rows)
            if self.reader.likelihood == "gaussian":
                residual += float((reconstruct(x) - target).square().sum())
                null += float((self.mean - target).square().sum())
            else:
                residual += _deviance(target, _rates(reconstruct(x)) * factor * sizes)
                null += _deviance(
                    target,
                    self.moments.rates.float().to(self.reader.device).clamp_min(MIN_RATE) * sizes,
                )
        return 1 - residual / null

    def _calibration(self, reconstruct: Callable[[Tensor], Tensor]) -> Tensor:
        observed = torch.zeros_like(self.moments.rates, device=self.reader.device)
        predicted = torch.zeros_like(observed)
        for rows in split_rows(self.training_rows):
            x, target, sizes = self.reader.read(rows)
            observed += target.double().sum(0)
            predicted += (_rates(reconstruct(x)) * sizes).double().sum(0)
        return (observed / predicted).float()

    @torch.no_grad()
    def _states(self, model: Autoencoder) -> np.ndarray:
        cells = np.arange(self.reader.values.shape[0])
        return np.concatenate(
            [
                model.encode(self.reader.read(rows)[0]).double().cpu().numpy()
                for rows in split_rows(cells)
            ]
        )


def _rates(profiles: Tensor) -> Tensor:
    """Positive rates at the common total."""
    return profiles.expm1().clamp_min(MIN_RATE)


def _deviance(counts: Tensor, mean: Tensor) -> float:
    return float(2 * (torch.xlogy(counts, counts / mean) - counts + mean).double().sum())


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}
