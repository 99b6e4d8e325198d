"""Compositions of descendants with and without a change, from paired paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Contrasts:
    """Descendants by class with and without interventions, and how their errors hang together.

    Parameters
    ----------
    masses
        Expected descendants of every class, of the control and of the changed cells, shape ``(C, S, 2, K)`` for C interventions
        and S cells (or one sum over them).
    covariance
        Monte-Carlo covariance of the two, flattened, shape ``(C, S, 2 K, 2 K)``.
    n_paths
        Pairs of paths behind each, shape ``(S,)``.
    """

    masses: np.ndarray
    covariance: np.ndarray
    n_paths: np.ndarray

    @classmethod
    def join(cls, parts: Sequence[Contrasts]) -> Contrasts:
        """Put cells of the same interventions beside each other."""
        return cls(
            np.concatenate([part.masses for part in parts], axis=1),
            np.concatenate([part.covariance for part in parts], axis=1),
            np.concatenate([part.n_paths for part in parts]),
        )

    def take(self, cells: np.ndarray) -> Contrasts:
        """Some cells, in this order."""
        return Contrasts(self.masses[:, cells], self.covariance[:, cells], self.n_paths[cells])

    def pool(self, cells: np.ndarray) -> Contrasts:
        """Sum over some cells, shape (C, 1, ...)."""
        return Contrasts(
            self.masses[:, cells].sum(axis=1, keepdims=True),
            self.covariance[:, cells].sum(axis=1, keepdims=True),
            self.n_paths[cells].sum(keepdims=True),
        )

    def compare(self) -> Comparison:
        """Compositions, their differences and errors.

        To the error of a difference, the weight of one pair of paths is added: paths that share their noise often end as the same type, and
        a change so rare that no pair shows it would seem to have no error.
        """
        n_classes = self.masses.shape[-1]
        control, changed = (
            self.covariance[..., part, part] for part in (slice(n_classes), slice(n_classes, None))
        )
        totals = self.masses.sum(axis=-1, keepdims=True)
        shares = self.masses / totals
        # how the shares respond to the masses
        slopes = (np.eye(n_classes) - shares[..., :, None]) / totals[..., None]
        both = np.concatenate([-slopes[..., 0, :, :], slopes[..., 1, :, :]], axis=-1)
        reached = np.asarray((self.masses > 0).any(axis=-2))
        n_reached = reached.sum(axis=-1)[..., None, None]
        one_path = (
            np.eye(n_classes) * reached[..., None]
            - reached[..., None] * reached[..., None, :] / n_reached
        )
        ratio = totals[..., 1, 0] / totals[..., 0, 0]
        by_mass = np.concatenate(
            [
                np.broadcast_to(-ratio[..., None], shares.shape[:-2] + (n_classes,)),
                np.ones_like(shares[..., 1, :]),
            ],
            -1,
        )
        by_mass = by_mass / totals[..., 0, :]
        return Comparison(
            control=shares[..., 0, :],
            control_se=_errors(_spread(slopes[..., 0, :, :], control)),
            perturbed=shares[..., 1, :],
            perturbed_se=_errors(_spread(slopes[..., 1, :, :], changed)),
            shift=shares[..., 1, :] - shares[..., 0, :],
            covariance=_spread(both, self.covariance)
            + one_path / np.square(self.n_paths)[:, None, None],
            n_descendants=totals[..., 0],
            ratio=ratio,
            ratio_se=_errors(_spread(by_mass[..., None, :], self.covariance))[..., 0],
        )


@dataclass(frozen=True)
class Comparison:
    """Composition of the descendants with and without an intervention.

    Parameters
    ----------
    control, control_se, perturbed, perturbed_se
        Shares of the classes, shape ``(..., K)``, and their Monte-Carlo standard errors.
    shift, covariance
        Their difference, and its covariance, shape ``(..., K, K)``: smaller than that of two runs, as noise is shared.
    n_descendants
        Number of descendants of the control and the changed cells, shape ``(..., 2)``.
    ratio, ratio_se
        The second over the first, and its standard error.
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
        """P values of a ratio that is not one (two-sided z test of its logarithm)."""
        return two_sided(np.log(self.ratio), self.ratio_se / self.ratio)

    def p_any(self) -> np.ndarray:
        """P values of a composition that differs in any class (Wald test), shape ``(...)``."""
        from scipy.stats import chi2

        values, vectors = np.linalg.eigh(self.covariance)
        # shares sum to one, and classes that nobody reaches are no evidence
        kept = values > np.maximum(1e-6 * values[..., -1:], 1e-16)
        along = (vectors * self.shift[..., :, None]).sum(axis=-2)
        statistic = np.where(kept, along**2 / np.where(kept, values, 1), 0).sum(axis=-1)
        return np.where(
            kept.any(axis=-1), chi2.sf(statistic, np.maximum(kept.sum(axis=-1), 1)), 1.0
        )


def two_sided(value: np.ndarray, se: np.ndarray) -> np.ndarray:
    """P values of normal values that are not zero; one where nothing happened at all."""
    from scipy.stats import norm

    z = np.divide(np.abs(value), se, out=np.where(value == 0, 0.0, np.inf), where=se > 0)
    return 2 * norm.sf(z)


def _spread(slopes: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return slopes @ covariance @ np.swapaxes(slopes, -1, -2)


def _errors(covariance: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0))
