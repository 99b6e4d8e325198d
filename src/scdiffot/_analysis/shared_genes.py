"""Genes that two platforms share, and principal components of both together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import format_list
from scdiffot._data.read.expression import check_counts, read_expression

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

# Largest number of genes of the principal components. More genes of little variance add noise, and
# the cost grows with the square of their number.
_MAX_GENES = 2000
# Share of the mean square below which a variance is due to rounding.
_MIN_VARIANCE = 1e-6
_REMEDY = "compute it with sc.pp.normalize_total and sc.pp.log1p"


@dataclass(frozen=True)
class SharedGenes:
    """Expression of the genes that two platforms share.

    Parameters
    ----------
    names
        Names of the genes, in the order of the spots.
    spots
        Expression of the spots, shape ``(n, G)``.
    reference
        Expression of the reference, shape ``(m, G)``.
    varying
        Whether a gene varies on both platforms, shape ``(G,)``.
    """

    names: np.ndarray
    spots: np.ndarray | csr_matrix
    reference: np.ndarray | csr_matrix
    varying: np.ndarray

    def values(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Dense expression of some of the genes on both platforms."""
        return _dense(self.spots[:, columns]), _dense(self.reference[:, columns])

    def space(
        self, n_dims: int, without: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Principal components of both platforms together.

        Every gene has mean 0 and the same variance on both platforms, the square root of the
        product of its standard deviations. Genes with a larger variance weigh more, but less than
        without scaling.

        Parameters
        ----------
        n_dims
            Largest number of components.
        without
            Genes to leave out.

        Returns
        -------
        Coordinates of the spots and the reference, shapes ``(n, d)`` and ``(m, d)``.
        """
        from scipy.sparse.linalg import eigsh

        selected = self.varying.copy()
        if without is not None:
            selected[without] = False
        columns = np.flatnonzero(selected)
        moments = [_moments(values) for values in (self.spots, self.reference)]
        if len(columns) > _MAX_GENES:
            ranks = sum(np.argsort(np.argsort(-variance[columns])) for _, variance in moments)
            columns = np.sort(columns[np.argsort(ranks, kind="stable")[:_MAX_GENES]])
        sides = [
            (values[:, columns], mean[columns], np.sqrt(variance[columns]))
            for values, (mean, variance) in zip((self.spots, self.reference), moments, strict=True)
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
        If one platform has no such layer.
    ValueError
        If names are not unique, fewer than three genes are shared or vary, or expression holds
        counts or NaN.
    """
    for argument, data in (("adata", adata), ("reference", reference)):
        if not data.var_names.is_unique:
            duplicates = data.var_names[data.var_names.duplicated()].unique()
            raise ValueError(
                f"`{argument}` has duplicated var names, for instance {format_list(duplicates)}: "
                "make them unique."
            )
    names = adata.var_names[adata.var_names.isin(reference.var_names)]
    if len(names) < 3:
        hint = " Their letters differ in case only." if _differ_in_case(adata, reference) else ""
        raise ValueError(
            f"`adata` and `reference` share {len(names)} genes, at least 3 are needed: they are "
            f"matched by var_names, which are {format_list(adata.var_names[:3])} and "
            f"{format_list(reference.var_names[:3])}.{hint} Bring them to the same kind of names."
        )
    spots = read_expression(adata, layer, np.flatnonzero(adata.var_names.isin(names)))
    positions = reference.var_names.get_indexer(names)
    order = np.argsort(positions)
    reference_values = read_expression(reference, layer, positions[order])[:, np.argsort(order)]
    check_counts(adata, spots, layer, expect_counts=False, remedy=_REMEDY)
    check_counts(reference, reference_values, layer, expect_counts=False, remedy=_REMEDY)
    varying = (_moments(spots)[1] > 0) & (_moments(reference_values)[1] > 0)
    if varying.sum() < 3:
        raise ValueError(
            f"Only {varying.sum()} of {len(names)} shared genes vary in both `adata` and "
            "`reference`."
        )
    return SharedGenes(names.to_numpy(), spots, reference_values, varying)


def _differ_in_case(adata: AnnData, reference: AnnData) -> bool:
    """Whether some genes are shared if the case of their names is ignored."""
    return bool(adata.var_names.str.lower().isin(reference.var_names.str.lower()).any())


def _dense(values: Any) -> np.ndarray:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)


def _moments(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of the columns; a variance due to rounding is zero."""
    squares = values.multiply(values) if hasattr(values, "tocsr") else values**2
    mean = np.asarray(values.mean(axis=0, dtype=np.float64)).ravel()
    square = np.asarray(squares.mean(axis=0, dtype=np.float64)).ravel()
    variance = square - mean**2
    return mean, np.where(variance > _MIN_VARIANCE * square, variance, 0.0)


def _correlations(values: Any, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Correlations of the columns."""
    products = _dense(values.T @ values) / values.shape[0]
    return (products - np.outer(mean, mean)) / np.outer(scale, scale)
