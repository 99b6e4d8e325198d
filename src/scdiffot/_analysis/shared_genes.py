"""Genes that two platforms share, and a space that both have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import some
from scdiffot._data.read.expression import check_counts, expression

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

# More genes of little variance add noise to the space, and a square matrix of their number.
_N_GENES = 2000
_REMEDY = "compute it with sc.pp.normalize_total and sc.pp.log1p"


@dataclass(frozen=True)
class SharedGenes:
    """Expression of the genes that two platforms share.

    Parameters
    ----------
    names
        Their names, in the order of the first.
    own
        Expression of the spots, shape ``(n, G)``.
    other
        Expression of the reference, shape ``(m, G)``.
    varying
        Which of them vary on both platforms, shape ``(G,)``.
    """

    names: np.ndarray
    own: np.ndarray | csr_matrix
    other: np.ndarray | csr_matrix
    varying: np.ndarray

    def values(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Dense expression of some of them on both sides."""
        return _dense(self.own[:, columns]), _dense(self.other[:, columns])

    def space(
        self, n_dims: int, without: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Principal components of both platforms together.

        Every gene has mean 0 and the same variance on each: the root of the product of its standard deviations on both, so that
        genes that vary more count more, but less so than they would without any scaling.

        Parameters
        ----------
        n_dims
            Number of components, at most.
        without
            Genes to leave out.

        Returns
        -------
        Coordinates of both, of shapes ``(n, d)`` and ``(m, d)``.
        """
        from scipy.sparse.linalg import eigsh

        used = self.varying.copy()
        if without is not None:
            used[without] = False
        columns = np.flatnonzero(used)
        moments = [_moments(values) for values in (self.own, self.other)]
        if len(columns) > _N_GENES:
            ranks = sum(np.argsort(np.argsort(-variance[columns])) for _, variance in moments)
            columns = np.sort(columns[np.argsort(ranks, kind="stable")[:_N_GENES]])
        sides = [
            (values[:, columns], mean[columns], np.sqrt(variance[columns]))
            for values, (mean, variance) in zip((self.own, self.other), moments, strict=True)
        ]
        weights = (sides[0][2] * sides[1][2]) ** 0.25
        correlations = sum(_correlations(*side) for side in sides) * np.outer(weights, weights)
        d = min(n_dims, len(columns) - 1)
        axes = weights[:, None] * eigsh(correlations, k=d, v0=np.ones(len(columns)))[1][:, ::-1]
        first, second = (
            values @ (axes / scale[:, None]) - (mean / scale) @ axes
            for values, mean, scale in sides
        )
        return np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)


def shared_genes(adata: AnnData, reference: AnnData, layer: str | None) -> SharedGenes:
    """Match the genes of two platforms by name, and read their expression.

    Raises
    ------
    KeyError
        If one has no such layer.
    ValueError
        If names are not unique, fewer than three genes are shared or vary, or expression holds counts or NaN.
    """
    for argument, data in (("adata", adata), ("reference", reference)):
        if not data.var_names.is_unique:
            twice = data.var_names[data.var_names.duplicated()].unique()
            raise ValueError(
                f"`{argument}` has duplicated var names, for instance {some(twice)}: make them unique."
            )
    names = adata.var_names[adata.var_names.isin(reference.var_names)]
    if len(names) < 3:
        hint = " Their letters differ in case only." if _same_but_case(adata, reference) else ""
        raise ValueError(
            f"`adata` and `reference` share {len(names)} genes, at least 3 are needed: they are matched by var_names, which are "
            f"{some(adata.var_names[:3])} and {some(reference.var_names[:3])}.{hint} Bring them to the same kind of names."
        )
    own = expression(adata, layer, np.flatnonzero(adata.var_names.isin(names)))
    there = reference.var_names.get_indexer(names)
    order = np.argsort(there)
    other = expression(reference, layer, there[order])[:, np.argsort(order)]
    check_counts(adata, own, layer, wanted=False, remedy=_REMEDY)
    check_counts(reference, other, layer, wanted=False, remedy=_REMEDY)
    varying = (_moments(own)[1] > 0) & (_moments(other)[1] > 0)
    if varying.sum() < 3:
        raise ValueError(
            f"Only {varying.sum()} of {len(names)} shared genes vary in both `adata` and `reference`."
        )
    return SharedGenes(names.to_numpy(), own, other, varying)


def _same_but_case(adata: AnnData, reference: AnnData) -> bool:
    return bool(adata.var_names.str.lower().isin(reference.var_names.str.lower()).any())


def _dense(values: Any) -> np.ndarray:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)


def _moments(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of the columns; a variance of rounding alone is zero."""
    squares = values.multiply(values) if hasattr(values, "tocsr") else values**2
    mean = np.asarray(values.mean(axis=0, dtype=np.float64)).ravel()
    square = np.asarray(squares.mean(axis=0, dtype=np.float64)).ravel()
    variance = square - mean**2
    return mean, np.where(variance > 1e-6 * square, variance, 0.0)


def _correlations(values: Any, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    products = _dense(values.T @ values) / values.shape[0]
    return (products - np.outer(mean, mean)) / np.outer(scale, scale)
