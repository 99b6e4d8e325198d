"""Compositions of descendants with and without an intervention, from paired trajectories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Contrasts:
    """Descendants by class with and without interventions, and the covariance of their errors.

    Parameters
    ----------
    masses
        Expected number of descendants in every class, of control cells and of perturbed cells,
        shape ``(C, S, 2, K)`` for C interventions and S cells (or one sum over them).
    covariance
        Monte Carlo covariance of these numbers, control first, shape ``(C, S, 2 K, 2 K)``.
    n_paths
        Number of pairs of trajectories behind each estimate, shape ``(S,)``.

    See Also
    --------
    Comparison : Compositions and their differences, computed from contrasts.
    scdiffot.core.genes.perturbation.contrasts : Simulate contrasts.
    """

    masses: np.ndarray
    covariance: np.ndarray
    n_paths: np.ndarray

    @classmethod
    def join(cls, parts: Sequence[Contrasts]) -> Contrasts:
        """Concatenate cells of the same interventions."""
        return cls(
            np.concatenate([part.masses for part in parts], axis=1),
            np.concatenate([part.covariance for part in parts], axis=1),
            np.concatenate([part.n_paths for part in parts]),
        )

    def take(self, cells: np.ndarray) -> Contrasts:
        """Select cells, in the order of their positions."""
        return Contrasts(self.masses[:, cells], self.covariance[:, cells], self.n_paths[cells])

    def pool(self, cells: np.ndarray) -> Contrasts:
        """Sum over a subset of cells, shape ``(C, 1, ...)``."""
        return Contrasts(
            self.masses[:, cells].sum(axis=1, keepdims=True),
            self.covariance[:, cells].sum(axis=1, keepdims=True),
            self.n_paths[cells].sum(keepdims=True),
        )

    def compare(self) -> Comparison:
        """Return compositions, their differences and standard errors.

        The variance of a difference includes the weight of one pair of trajectories. Trajectories
        that share their noise often end in the same class, so a change too rare to occur in any
        pair would otherwise have no error.
        """
        n_classes = self.masses.shape[-1]
        control, perturbed = (
            self.covariance[..., part, part] for part in (slice(n_classes), slice(n_classes, None))
        )
        totals = self.masses.sum(axis=-1, keepdims=True)
        shares = self.masses / totals
        # delta method: derivatives of the shares in the masses
        slopes = (np.eye(n_classes) - shares[..., :, None]) / totals[..., None]
        shift_slopes = np.concatenate([-slopes[..., 0, :, :], slopes[..., 1, :, :]], axis=-1)
        ratio = totals[..., 1, 0] / totals[..., 0, 0]
        ratio_slopes = np.concatenate(
            [
                np.broadcast_to(-ratio[..., None], shares.shape[:-2] + (n_classes,)),
                np.ones_like(shares[..., 1, :]),
            ],
            -1,
        )
        ratio_slopes = ratio_slopes / totals[..., 0, :]
        return Comparison(
            control=shares[..., 0, :],
            control_se=_errors(_propagate(slopes[..., 0, :, :], control)),
            perturbed=shares[..., 1, :],
            perturbed_se=_errors(_propagate(slopes[..., 1, :, :], perturbed)),
            shift=shares[..., 1, :] - shares[..., 0, :],
            covariance=_propagate(shift_slopes, self.covariance)
            + self._pair_covariance() / np.square(self.n_paths)[:, None, None],
            n_descendants=totals[..., 0],
            ratio=ratio,
            ratio_se=_errors(_propagate(ratio_slopes[..., None, :], self.covariance))[..., 0],
        )

    def _pair_covariance(self) -> np.ndarray:
        """Covariance of a single pair that changes class at random, shape ``(C, S, K, K)``."""
        occupied = np.asarray((self.masses > 0).any(axis=-2))
        n_occupied = occupied.sum(axis=-1)[..., None, None]
        return np.asarray(
            np.eye(occupied.shape[-1]) * occupied[..., None]
            - occupied[..., None] * occupied[..., None, :] / n_occupied
        )


@dataclass(frozen=True)
class Comparison:
    """Composition of the descendants with and without an intervention.

    Parameters
    ----------
    control, control_se, perturbed, perturbed_se
        Shares of the classes, shape ``(..., K)``, and their Monte Carlo standard errors.
    shift, covariance
        Difference of the shares, shape ``(..., K)``, and its covariance, shape ``(..., K, K)``.
        The covariance is smaller than that of two independent runs, because the noise is shared.
    n_descendants
        Number of descendants of control cells and of perturbed cells, shape ``(..., 2)``.
    ratio, ratio_se
        Number of descendants of perturbed cells over that of control cells, and its standard error.

    See Also
    --------
    Contrasts.compare : Compute the comparison.
    two_sided_p_values : P values of differences of single classes.
    """

    control: np.ndarray
    control_se: np.ndarray
    perturbed: np.ndarray
    perturbed_se: np.ndarray
    shift: np.ndarray
    covariance: np.ndarray
    n_descendants: np.ndarray
    ratio: np.ndarray
    ratio_se: np.ndarray

    @property
    def se(self) -> np.ndarray:
        """Standard errors of the differences, shape ``(..., K)``."""
        return _errors(self.covariance)

    def p_mass(self) -> np.ndarray:
        """P values of a two-sided z test of the log ratio against zero."""
        return two_sided_p_values(np.log(self.ratio), self.ratio_se / self.ratio)

    def p_any(self) -> np.ndarray:
        """P values of a Wald test that no share of a class differs, shape ``(...)``."""
        from scipy.stats import chi2

        values, vectors = np.linalg.eigh(self.covariance)
        # shares sum to one and empty classes carry no information, so some eigenvalues are zero
        nonzero = values > np.maximum(1e-6 * values[..., -1:], 1e-16)
        projections = (vectors * self.shift[..., :, None]).sum(axis=-2)
        statistic = np.where(nonzero, projections**2 / np.where(nonzero, values, 1), 0).sum(axis=-1)
        return np.where(
            nonzero.any(axis=-1), chi2.sf(statistic, np.maximum(nonzero.sum(axis=-1), 1)), 1.0
        )


def two_sided_p_values(value: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Two-sided p values of a z test against zero; 1 where both value and standard error are zero.

    See Also
    --------
    Comparison.p_mass : Test of the number of descendants.
    Comparison.p_any : Test of the composition.
    """
    from scipy.stats import norm

    z = np.divide(np.abs(value), se, out=np.where(value == 0, 0.0, np.inf), where=se > 0)
    return 2 * norm.sf(z)


def _propagate(slopes: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return slopes @ covariance @ np.swapaxes(slopes, -1, -2)


def _errors(covariance: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0))
