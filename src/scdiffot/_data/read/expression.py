"""Expression in X or a layer, its kind (counts or logarithms), and the genes to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import format_list, suggest

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

# Cells converted to a dense array at a time, which bounds the memory of reading a file.
CHUNK_SIZE = 4096
# Cells sampled to decide whether a layer holds counts.
_N_SAMPLED = 200


def read_expression(
    adata: AnnData, layer: str | None, columns: np.ndarray | None = None
) -> np.ndarray | csr_matrix:
    """Read expression into memory, dense or sparse as it is stored.

    Parameters
    ----------
    adata
        The data.
    layer
        Layer, or X if None.
    columns
        Positions of the genes to read, in any order; all by default.

    Returns
    -------
    Expression, shape ``(n, G)``, float32; sparse matrices are compressed by rows.

    Raises
    ------
    KeyError
        If there is no such layer.
    TypeError
        If it does not hold real numbers.
    ValueError
        If it holds NaN or infinite values.
    """
    from scipy import sparse

    matrix = stored_expression(adata, layer)
    columns = np.arange(adata.n_vars) if columns is None else columns
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"`layer` {_layer_text(layer)} holds {matrix.dtype}: pass real numbers.")
    if hasattr(matrix, "to_memory"):  # sparse, in a file
        matrix = matrix.to_memory()
    if sparse.issparse(matrix):
        values = sparse.csr_matrix(matrix[:, columns], dtype=np.float32)
        finite = bool(np.isfinite(values.data).all())
    else:
        values = np.empty((adata.n_obs, len(columns)), np.float32)
        for start in range(0, adata.n_obs, CHUNK_SIZE):
            chunk = slice(start, start + CHUNK_SIZE)
            values[chunk] = to_dense(matrix[chunk])[:, columns]
        finite = bool(np.isfinite(values).all())
    if not finite:
        raise ValueError(
            f"`layer` {_layer_text(layer)} holds NaN or infinite values: remove them first."
        )
    return values


def stored_expression(adata: AnnData, layer: str | None) -> Any:
    """Return the array of a layer, or X if None, as it is stored.

    Raises
    ------
    KeyError
        If there is no such layer, or X is empty.
    """
    if layer is None:
        if adata.X is None:
            raise KeyError(
                f"`layer` is None, but X is empty: name a layer. {suggest('', layer_names(adata))}"
            )
        return adata.X
    if layer not in adata.layers:
        raise KeyError(
            f"`layer` is {layer!r}, which is no layer. {suggest(str(layer), layer_names(adata))}"
        )
    return adata.layers[layer]


def layer_names(adata: AnnData) -> list[str]:
    """List the layers; anndata 0.13 has X among them, under None."""
    return [name for name in adata.layers if name is not None]


def to_dense(values: Any, dtype: Any = np.float32) -> np.ndarray:
    """Convert a part of a matrix to a dense array."""
    values = values.compute() if hasattr(values, "compute") else values
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=dtype)


def are_counts(values: Any) -> bool:
    """Whether expression in memory holds non-negative whole numbers only, and values above one."""
    data = values.data if hasattr(values, "tocsr") else values
    return bool(data.size and data.min() >= 0 and data.max() > 1 and (data == np.rint(data)).all())


def check_counts(
    adata: AnnData,
    values: np.ndarray | csr_matrix,
    layer: str | None,
    *,
    expect_counts: bool,
    remedy: str,
) -> None:
    """Refuse counts where log-normalised expression is needed, or the reverse.

    Parameters
    ----------
    adata, layer
        Source of the values.
    values
        Expression of that layer.
    expect_counts
        Whether counts are needed.
    remedy
        Advice for the message if no other layer is suitable.

    Raises
    ------
    ValueError
        If they are of the wrong kind. The message names the layers of the right kind.
    """
    if are_counts(values) == expect_counts:
        return
    candidates = [None, *layer_names(adata)] if adata.X is not None else layer_names(adata)
    suitable_layers = [
        name
        for name in candidates
        if name != layer and _look_like_counts(adata, name) == expect_counts
    ]
    low, high = float(values.min()), float(values.max())
    kind = (
        "counts: whole numbers"
        if not expect_counts
        else "no counts: not only whole numbers from zero, or none above one"
    )
    layer_arguments = " or ".join(
        "layer=None (X)" if name is None else f"layer={name!r}" for name in suitable_layers
    )
    raise ValueError(
        f"`layer` {_layer_text(layer)} holds {kind} ({low:g} to {high:g}). "
        + (
            f"Pass {layer_arguments}, or {remedy}."
            if suitable_layers
            else f"There is no other layer that would do: {remedy}."
        )
    )


def _look_like_counts(adata: AnnData, layer: str | None) -> bool:
    matrix = stored_expression(adata, layer)
    rows = np.unique(np.linspace(0, adata.n_obs - 1, min(adata.n_obs, _N_SAMPLED)).astype(int))
    return matrix.dtype.kind in "biuf" and are_counts(to_dense(matrix[rows]))


def gene_mask(adata: AnnData, mask_var: str | np.ndarray | None) -> np.ndarray:
    """Mask of the genes to use: a column of `var`, a mask, or the highly variable genes if marked.

    Raises
    ------
    KeyError
        If there is no such column.
    TypeError
        If it is not a mask.
    ValueError
        If it has the wrong length or selects no gene.
    """
    if mask_var is None:
        is_marked = "highly_variable" in adata.var
        mask_var = "highly_variable" if is_marked else np.ones(adata.n_vars, dtype=bool)
    name = repr(mask_var) if isinstance(mask_var, str) else "the array given"
    if isinstance(mask_var, str):
        if mask_var not in adata.var:
            raise KeyError(
                f"`mask_var` is {mask_var!r}, which is no column of var. "
                f"{suggest(mask_var, adata.var.columns)}"
            )
        mask_var = adata.var[mask_var].to_numpy()
    mask = np.asarray(mask_var)
    if mask.dtype != bool:
        raise TypeError(f"`mask_var`, {name}, holds {mask.dtype}: pass True and False.")
    if mask.shape != (adata.n_vars,):
        raise ValueError(
            f"`mask_var` has shape {mask.shape}: pass one value for each of the "
            f"{adata.n_vars} genes."
        )
    if not mask.any():
        raise ValueError(f"`mask_var`, {name}, is False everywhere: choose at least one gene.")
    return mask


def constant_genes(values: np.ndarray | csr_matrix) -> np.ndarray:
    """Mask of the genes that have the same value in all cells, shape ``(G,)``."""
    low, high = values.min(axis=0), values.max(axis=0)
    return to_dense(low, None).ravel() == to_dense(high, None).ravel()


def check_varying(names: np.ndarray, constant: np.ndarray, n_min: int) -> None:
    """Refuse expression in which too few genes vary.

    Raises
    ------
    ValueError
        If fewer than `n_min` genes vary.
    """
    n_varying = (~constant).sum()
    if n_varying < n_min:
        raise ValueError(
            f"Only {n_varying} of {len(constant)} genes vary between cells, fewer than {n_min}; "
            f"constant are {format_list(names[constant].tolist())}: choose other genes with "
            "`mask_var`, or fewer dimensions."
        )


def _layer_text(layer: str | None) -> str:
    return "None (X)" if layer is None else repr(layer)
