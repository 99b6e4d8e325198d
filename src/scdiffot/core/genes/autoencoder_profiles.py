"""Expression profiles in chunks, for an autoencoder: moments and principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from .autoencoder import Likelihood

# Total to which the counts of a cell are normalised.
TARGET_SUM = 1e4
# Cells that become dense together where nothing is trained.
CHUNK_SIZE = 1024
# Smallest normalised rate of a gene; smaller rates are treated as this rate.
MIN_RATE = 1e-3
# Parameters of the randomised subspace iteration.
OVERSAMPLING = 10
N_ITERATIONS = 8


class ProfileReader:
    """Dense chunks of expression or counts, on a device.

    Parameters
    ----------
    values
        Expression, or counts, shape ``(n, G)``, dense or compressed by rows.
    totals
        Counts of every cell over all genes, shape ``(n,)``.
    likelihood
        ``"gaussian"`` or ``"nb"``.
    device
        Where tensors are made.

    See Also
    --------
    compute_moments : Moments of the profiles of a set of cells.
    principal_components : Principal components of the profiles of a set of cells.
    """

    def __init__(
        self,
        values: np.ndarray | csr_matrix,
        totals: np.ndarray,
        likelihood: Likelihood,
        device: torch.device,
    ) -> None:
        self.values, self.likelihood, self.device = values, likelihood, device
        self.size_factors = np.asarray(totals, dtype=np.float32) / TARGET_SUM

    def read(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Profiles and targets, shape ``(m, G)`` each, and size factors, shape ``(m, 1)``.

        Targets are the values under the likelihood: expression, or counts.
        """
        chunk = self.values[rows]
        dense = chunk if isinstance(chunk, np.ndarray) else chunk.toarray()
        target = torch.as_tensor(np.ascontiguousarray(dense, dtype=np.float32)).to(self.device)
        sizes = torch.as_tensor(self.size_factors[rows])[:, None].to(self.device)
        return (
            (target, target, sizes)
            if self.likelihood == "gaussian"
            else ((target / sizes).log1p(), target, sizes)
        )


@dataclass(frozen=True)
class ProfileMoments:
    """Moments of the profiles of a set of cells, in double precision.

    Parameters
    ----------
    mean
        Mean profile, shape ``(G,)``.
    variance
        Sum of the variances of the genes.
    rates
        Counts over the sum of size factors, shape ``(G,)``; zero for a normal likelihood.

    See Also
    --------
    compute_moments : Compute the moments.
    """

    mean: Tensor
    variance: float
    rates: Tensor


def compute_moments(reader: ProfileReader, rows: np.ndarray) -> ProfileMoments:
    """Compute the moments of the profiles of the cells at `rows`.

    See Also
    --------
    principal_components : Principal components of the same profiles.
    """
    mean, square = torch.zeros(reader.values.shape[1], dtype=torch.float64), 0.0
    rates = torch.zeros_like(mean)
    for chunk in split_rows(rows):
        x, target, _ = reader.read(chunk)
        mean += x.double().sum(0).cpu()
        square += float(x.double().square().sum())
        if reader.likelihood == "nb":
            rates += target.double().sum(0).cpu()
    n = len(rows)
    rates /= float(reader.size_factors[rows].astype(np.float64).sum())
    mean /= n
    return ProfileMoments(mean, square / n - float(mean.square().sum()), rates)


def principal_components(
    reader: ProfileReader, rows: np.ndarray, mean: Tensor, k: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Compute principal components by a randomised subspace iteration over chunks of cells.

    Parameters
    ----------
    reader
        Source of the profiles.
    rows
        Positions of the cells.
    mean
        Mean profile, shape ``(G,)``, in single precision on the device of the reader.
    k
        Number of components.
    rng
        Generator of the initial basis.

    Returns
    -------
    Components, shape ``(k, G)``, and standard deviations along them, shape ``(k,)``.

    See Also
    --------
    compute_moments : Mean and variance of the profiles.
    """
    n_genes = reader.values.shape[1]
    width = min(k + OVERSAMPLING, n_genes, len(rows))
    basis = torch.as_tensor(
        rng.standard_normal((n_genes, width)), dtype=torch.float32, device=reader.device
    )
    for _ in range(N_ITERATIONS):
        basis = torch.linalg.qr(basis).Q
        image = torch.zeros_like(basis, dtype=torch.float64)
        for chunk in split_rows(rows):
            x = reader.read(chunk)[0] - mean
            image += x.T @ (x @ basis)
        projected = basis.double().T @ image / len(rows)
        variances, rotation = torch.linalg.eigh((projected + projected.T) / 2)
        # the last iteration needs the rotated basis, the others its image
        components, basis = basis.double() @ rotation, image.float()
    order = torch.arange(width - 1, width - 1 - k, -1)
    deviations = variances[order].clamp_min(1e-12).sqrt().float().cpu()
    return components[:, order].T.float().cpu(), deviations


def split_rows(rows: np.ndarray, size: int = CHUNK_SIZE) -> list[np.ndarray]:
    """Split positions of cells into chunks.

    See Also
    --------
    ProfileReader.read : Read a chunk.
    """
    return [rows[i : i + size] for i in range(0, len(rows), size)]
