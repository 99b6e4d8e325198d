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

if TYPE_CHECKING:
    from collections.abc import Callable

    from scipy.sparse import csr_matrix

History = dict[str, np.ndarray | float | bool]

# Counts of a cell are compared at this total.
TARGET_SUM = 1e4
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4
GRADIENT_CLIP = 5.0
# Cells on which nothing is trained are read in portions of this size.
CHUNK_SIZE = 1024
# Normalised expression below which the mean of a gene is not told from none.
FLOOR = 1e-3
# Of the subspace iteration.
OVERSAMPLING = 10
N_PASSES = 8


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
    """Fit an autoencoder that starts as the principal components, and stop when held-out cells no longer gain.

    Parameters
    ----------
    values
        Expression, or counts, shape ``(n, G)``, dense or compressed by rows; cells become dense in batches only.
    totals
        Counts of every cell over all genes, shape ``(n,)``; of no meaning for a normal likelihood.
    n_latent, likelihood, n_hidden
        See :class:`Autoencoder`.
    max_epochs, patience
        Passes over the cells at most, and without a gain.
    n_validation
        Number of held-out cells.
    batch_size
        Cells in a step.
    rng
        Generator.
    device
        ``"auto"`` (cuda where there is one), or a torch device.
    callback
        Called after every epoch.

    Returns
    -------
    The autoencoder; the states of all cells (n, d), each dimension of mean 0 and standard deviation 1; and the history: ``loss`` and
    ``loss_validation`` of every epoch, of which the first is that of the start, ``explained`` and ``explained_pca`` on the held-out
    cells, ``interrupted``.
    """
    where = resolve_device(device)
    return _Training(values, totals, likelihood, n_validation, rng, where).run(
        n_latent, n_hidden, max_epochs, patience, batch_size, callback
    )


class _Training:
    """One fit: cells in two parts, and what is measured on them."""

    def __init__(
        self,
        values: np.ndarray | csr_matrix,
        totals: np.ndarray,
        likelihood: Likelihood,
        n_validation: int,
        rng: np.random.Generator,
        device: torch.device,
    ) -> None:
        self.values, self.likelihood, self.rng, self.device = values, likelihood, rng, device
        self.sizes = np.asarray(totals, dtype=np.float32) / TARGET_SUM
        order = rng.permutation(values.shape[0])
        self.held, self.trained = np.sort(order[:n_validation]), np.sort(order[n_validation:])

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
        n_genes = self.values.shape[1]
        model = Autoencoder(n_genes, n_latent, n_hidden, self.likelihood, generator)
        self._start(model)
        model.to(self.device)
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

    def _read(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Profiles (n, G), what the likelihood is of (n, G), and size factors (n, 1) of cells."""
        part = self.values[rows]
        dense = part if isinstance(part, np.ndarray) else part.toarray()
        target = torch.as_tensor(np.ascontiguousarray(dense, dtype=np.float32)).to(self.device)
        sizes = torch.as_tensor(self.sizes[rows])[:, None].to(self.device)
        return (
            (target, target, sizes)
            if self.likelihood == "gaussian"
            else ((target / sizes).log1p(), target, sizes)
        )

    def _start(self, model: Autoencoder) -> None:
        """Principal components of the profiles of the training cells; the perceptrons add nothing yet."""
        mean, square = torch.zeros(self.values.shape[1], dtype=torch.float64), 0.0
        self.rates = torch.zeros_like(mean)
        for rows in _portions(self.trained):
            x, target, sizes = self._read(rows)
            mean += x.double().sum(0).cpu()
            square += float(x.double().square().sum())
            if self.likelihood == "nb":
                self.rates += target.double().sum(0).cpu()
        n = len(self.trained)
        self.rates /= float(self.sizes[self.trained].astype(np.float64).sum())
        mean /= n
        self.mean = mean.float().to(self.device)
        self.variance = square / n - float(mean.square().sum())
        spread = math.sqrt(self.variance / len(mean))
        components, deviations = self._principal(len(model.shift))
        self.components = components.to(self.device)
        line = components.T * deviations
        bias = mean.float()
        if self.likelihood == "nb":
            bias = self.rates.clamp_min(FLOOR).log().float()
            # a small change of log1p of a rate changes its logarithm by more, the rarer the gene
            line = line / torch.sigmoid(bias)[:, None].clamp_min(0.2)
        with torch.no_grad():
            model.centre.copy_(mean)
            model.spread.fill_(spread)
            model.encoder_line.weight.copy_(components * spread / deviations[:, None])
            model.decoder_line.weight.copy_(line)
            model.decoder_line.bias.copy_(bias)
            model.encoder_out.weight.zero_()
            model.decoder_out.weight.zero_()

    def _principal(self, k: int) -> tuple[Tensor, Tensor]:
        """Principal components (k, G) and their deviations (k,), by subspace iteration: a few passes over portions of cells."""
        n_genes = self.values.shape[1]
        width = min(k + OVERSAMPLING, n_genes, len(self.trained))
        basis = torch.as_tensor(
            self.rng.standard_normal((n_genes, width)), dtype=torch.float32, device=self.device
        )
        for _ in range(N_PASSES):
            basis = torch.linalg.qr(basis).Q
            image = torch.zeros_like(basis, dtype=torch.float64)
            for rows in _portions(self.trained):
                x = self._read(rows)[0] - self.mean
                image += x.T @ (x @ basis)
            small = basis.double().T @ image / len(self.trained)
            variances, turn = torch.linalg.eigh((small + small.T) / 2)
            # what it is after the next power, and what is returned after the last
            found, basis = basis.double() @ turn, image.float()
        order = torch.arange(width - 1, width - 1 - k, -1)
        return found[:, order].T.float().cpu(), variances[order].clamp_min(
            1e-12
        ).sqrt().float().cpu()

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
        log = [(self._validate(model, self.trained), self._validate(model, self.held))]
        for value in log[0]:
            check_loss(value, abs(value), 0)
        best, best_epoch, interrupted = _copy(model), 0, False
        try:
            for epoch in range(1, max_epochs + 1):
                loss = self._epoch(model, optimizer, batch_size)
                log.append((loss, self._validate(model, self.held)))
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
        for rows in _portions(self.rng.permutation(self.trained), batch_size):
            loss = self._loss(model, rows)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        return total / len(self.trained)

    @torch.no_grad()
    def _validate(self, model: Autoencoder, cells: np.ndarray) -> float:
        return sum(float(self._loss(model, rows)) * len(rows) for rows in _portions(cells)) / len(
            cells
        )

    def _loss(self, model: Autoencoder, rows: np.ndarray) -> Tensor:
        """Squared error over the variance; or negative log-likelihood of the counts per gene, up to a constant."""
        x, target, sizes = self._read(rows)
        found = model.predict(model.encode(x))
        if self.likelihood == "gaussian":
            return (found - target).square().sum(1).mean() / self.variance
        log_mean, log_d = found + sizes.log(), model.log_dispersion
        d = log_d.exp()
        likelihood = (d * log_d - (target + d) * torch.logaddexp(log_d, log_mean)).sum()
        # the rest is zero where the count is, which is most of it, and slow
        seen = target.nonzero(as_tuple=True)
        counted, dispersion = target[seen], d[seen[1]]
        likelihood = likelihood + (counted * log_mean[seen]).sum() - torch.lgamma(d)[seen[1]].sum()
        return -(likelihood + torch.lgamma(counted + dispersion).sum()) / target.numel()

    def _pca(self, x: Tensor) -> Tensor:
        return (x - self.mean) @ self.components.T @ self.components + self.mean

    @torch.no_grad()
    def _explained(self, reconstruct: Callable[[Tensor], Tensor]) -> float:
        """Share of the variance, or of the Poisson deviance, of held-out cells that a reconstruction explains."""
        left = null = 0.0
        # Decoded profiles are means of logarithms or logarithms of means: every gene gets its total on the training cells.
        factor = 1.0 if self.likelihood == "gaussian" else self._calibration(reconstruct)
        for rows in _portions(self.held):
            x, target, sizes = self._read(rows)
            if self.likelihood == "gaussian":
                left += float((reconstruct(x) - target).square().sum())
                null += float((self.mean - target).square().sum())
            else:
                left += _deviance(target, _rates(reconstruct(x)) * factor * sizes)
                null += _deviance(
                    target, self.rates.float().to(self.device).clamp_min(FLOOR) * sizes
                )
        return 1 - left / null

    def _calibration(self, reconstruct: Callable[[Tensor], Tensor]) -> Tensor:
        counted = torch.zeros_like(self.rates, device=self.device)
        expected = torch.zeros_like(counted)
        for rows in _portions(self.trained):
            x, target, sizes = self._read(rows)
            counted += target.double().sum(0)
            expected += (_rates(reconstruct(x)) * sizes).double().sum(0)
        return (counted / expected).float()

    @torch.no_grad()
    def _states(self, model: Autoencoder) -> np.ndarray:
        cells = np.arange(self.values.shape[0])
        return np.concatenate(
            [model.encode(self._read(rows)[0]).double().cpu().numpy() for rows in _portions(cells)]
        )


def _rates(profiles: Tensor) -> Tensor:
    """Rates at the common total, which are positive."""
    return profiles.expm1().clamp_min(FLOOR)


def _deviance(counts: Tensor, mean: Tensor) -> float:
    return float(2 * (torch.xlogy(counts, counts / mean) - counts + mean).double().sum())


def _portions(rows: np.ndarray, size: int = CHUNK_SIZE) -> list[np.ndarray]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}
