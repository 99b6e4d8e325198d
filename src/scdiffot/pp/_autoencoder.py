"""A nonlinear representation with a decoder to genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._data.read.checks import as_writable, check_count, check_number, is_mudata
from scdiffot._data.read.expression import (
    check_counts,
    check_varying,
    constant_genes,
    gene_mask,
    read_expression,
)
from scdiffot._data.read.gene_names import check_unambiguous, gene_names
from scdiffot._data.write.autoencoders import check_free_autoencoder, write_autoencoder
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.logging import logger
from scdiffot._utils.options import MAX_BATCH, MAX_HIDDEN, MAX_STEPS
from scdiffot._utils.progress import progress_bar
from scdiffot._utils.rng import as_generator, rng_name
from scdiffot.core.genes.autoencoder_fit import fit_autoencoder
from scdiffot.core.nets.devices import resolve_device

if TYPE_CHECKING:
    import torch
    from anndata import AnnData

    from scdiffot.core.genes.autoencoder_fit import History

# Optimiser steps of the default number of epochs, and the limits of that number
N_STEPS = 20_000
EPOCH_LIMITS = (20, 400)


@fill_parameters
def autoencoder(
    adata: AnnData,
    n_latent: int = 10,
    *,
    layer: str | None = None,
    mask_var: str | np.ndarray | None = None,
    likelihood: Literal["gaussian", "nb"] = "gaussian",
    n_hidden: int = 128,
    max_epochs: int | None = None,
    patience: int = 20,
    validation_size: float = 0.1,
    batch_size: int = 128,
    rng: int | np.random.Generator = 0,
    device: str | torch.device = "auto",
    key_added: str = "X_ae",
    show_progress: bool = True,
    copy: bool = False,
) -> AnnData | None:
    r"""Learn a representation that decodes to expression better than as many principal components.

    Encoder and decoder are each a linear map plus a multilayer perceptron with one hidden layer.
    They start as the principal components, with perceptrons that add nothing, and are trained
    until the loss of held-out cells stops decreasing. On held-out cells the result is never worse
    than the start.

    The normal likelihood minimises the squared error of :math:`x`, as principal component analysis
    (PCA) does. In the negative binomial likelihood, the count :math:`c_{ij}` of cell i and gene j
    has the mean :math:`s_i \mu_j(z_i)` and a dispersion per gene :cite:p:`Eraslan2019`, where
    :math:`s_i` is the total of the cell over all genes of the layer, in units of 10,000. The input
    of the encoder is :math:`\log(1 + c_{ij} / s_i)`, and decoded expression is :math:`\log(1 +
    \mu_j)`, which is not negative and zero where a gene is off.

    Parameters
    ----------
    adata
        Cells; of a MuData, one modality. Sparse matrices stay sparse except for batches of cells.
    n_latent
        Number of dimensions.
    layer
        Layer with the expression; X by default. Log-normalised for ``"gaussian"``, raw counts for
        ``"nb"``.
    mask_var
        Genes to use: a column of `adata.var` or an array of True and False. By default the
        ``"highly_variable"`` ones if they are marked, otherwise all. Genes that are constant over
        the cells are left out.
    likelihood
        ``"gaussian"`` or ``"nb"``.
    n_hidden
        Hidden units of each perceptron.
    max_epochs
        Maximal number of passes over the cells. By default the number that makes 20,000 steps,
        between 20 and 400.
    patience
        Epochs without a lower loss of the held-out cells after which to stop.
    validation_size
        Share of cells to hold out.
    batch_size
        Cells in a step.
    rng
        Seed or generator. Equal seeds give equal results on one machine.
    %(device)s
    key_added
        Name of the representation.
    %(show_progress)s
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following fields:

    `adata.obsm["{key_added}"]` : array of shape ``(n, n_latent)``
        States, each dimension of mean 0 and standard deviation 1.
    `adata.uns["{key_added}"]` : dict
        ``params``; ``history``: ``loss`` and ``loss_validation`` before training and after every
        epoch, and the share of the variance (or of the Poisson deviance of counts) of held-out
        cells that is ``explained``, with ``explained_pca`` by as many principal components;
        ``genes`` and ``decoder``, the networks as arrays. Functions on genes use this decoder
        after ``tl.fit(adata, time_key, use_rep="{key_added}")``.

    If interrupted (Ctrl-C), the function keeps the best networks so far and logs a warning.

    Raises
    ------
    KeyError
        If there is no such layer or column.
    TypeError
        If an argument has the wrong type, or `adata` is no AnnData.
    ValueError
        If ``"gaussian"`` is used on counts or ``"nb"`` on other values, expression is missing or
        infinite, a cell has no counts, too few genes vary or too few cells are left, a number is
        out of range, or a name is in use. Nothing is written in these cases.

    See Also
    --------
    scdiffot.pp.spatial_embedding : A representation of spots and their surroundings.
    scdiffot.tl.fit : Fit a model in the representation.
    scdiffot.tl.gene_velocity : Velocities of genes, through the decoder.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.pp.autoencoder(adata, 1, n_hidden=16, max_epochs=5)
    >>> adata.obsm["X_ae"].shape == (adata.n_obs, 1)
    True
    """
    if is_mudata(adata):
        modality = next(iter(adata.mod), "rna")
        raise TypeError(f"`adata` is a MuData: pass one modality, such as mdata[{modality!r}].")
    generator, torch_device = as_generator(rng), resolve_device(device)
    adata = as_writable(adata, copy=copy)
    check_free_autoencoder(adata, key_added)
    if likelihood not in ("gaussian", "nb"):
        raise ValueError(f"`likelihood` is {likelihood!r}: pass 'gaussian' or 'nb'.")
    n_latent = check_count("n_latent", n_latent, 1)
    n_hidden = check_count("n_hidden", n_hidden, 1, MAX_HIDDEN)
    patience = check_count("patience", patience, 1)
    batch_size = check_count("batch_size", batch_size, 1, MAX_BATCH)
    validation_size = check_number("validation_size", validation_size, 0, 0.5, above=True)
    n_train, n_validation = _split_cells(adata.n_obs, validation_size, n_latent)
    if max_epochs is None:
        max_epochs = int(np.clip(N_STEPS * batch_size / n_train, *EPOCH_LIMITS))
    max_epochs = check_count("max_epochs", max_epochs, 1, MAX_STEPS)
    values, totals, columns = _read_expression(adata, layer, mask_var, likelihood, n_latent)
    options: dict[str, Any] = {
        "n_latent": n_latent,
        "likelihood": likelihood,
        "n_hidden": n_hidden,
        "max_epochs": max_epochs,
        "patience": patience,
        "n_validation": n_validation,
        "batch_size": batch_size,
    }
    with progress_bar("Autoencoder", show=show_progress) as callback:
        model, states, history = fit_autoencoder(
            values,
            totals,
            **options,
            rng=generator,
            device=torch_device,
            callback=callback,
        )
    _log_history(history, likelihood)
    write_autoencoder(
        adata,
        key_added,
        states=states,
        params={"n_latent": n_latent, "layer": layer or "", **options, "rng": rng_name(rng)},
        history=history,
        decoder=model,
        columns=columns,
    )
    return adata if copy else None


def _split_cells(n: int, validation_size: float, n_latent: int) -> tuple[int, int]:
    """Numbers of cells for training and for validation."""
    n_validation = max(int(np.ceil(validation_size * n)), 2)
    n_train = n - n_validation
    if n_train <= n_latent:
        raise ValueError(
            f"`n_latent` is {n_latent}, but {max(n_train, 0)} cells are left to train on: "
            "pass fewer dimensions, or more cells."
        )
    return n_train, n_validation


def _read_expression(
    adata: AnnData,
    layer: str | None,
    mask_var: str | np.ndarray | None,
    likelihood: str,
    n_latent: int,
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Expression of the varying genes, total of every cell, and columns of these genes."""
    columns = np.flatnonzero(gene_mask(adata, mask_var))
    # the stored autoencoder identifies its genes by name
    check_unambiguous(gene_names(adata), adata.var_names[columns])
    # the total of a cell is over all genes, so counts are read for all of them
    is_counts = likelihood == "nb"
    values = read_expression(adata, layer, None if is_counts else columns)
    remedy = (
        "use likelihood='gaussian' for values that are not counts"
        if is_counts
        else "log-normalise them (scanpy.pp.normalize_total, log1p), or use likelihood='nb'"
    )
    check_counts(adata, values, layer, expect_counts=is_counts, remedy=remedy)
    totals = np.ones(adata.n_obs)
    if is_counts:
        totals = np.asarray(values.sum(axis=1, dtype=np.float64)).ravel()
    if not totals.all():
        raise ValueError(
            f"`adata` has {(totals == 0).sum()} cells without any count: "
            "filter them with scanpy.pp.filter_cells."
        )
    values = values[:, columns] if is_counts else values
    constant = constant_genes(values)
    check_varying(adata.var_names.to_numpy()[columns], constant, n_latent + 1)
    if constant.any():
        columns, values = columns[~constant], values[:, ~constant]
    return values, totals, columns


def _log_history(history: History, likelihood: str) -> None:
    if history["interrupted"]:
        logger.warning(
            "Interrupted after %d epochs: the best networks so far are kept.",
            np.size(history["loss"]) - 1,
        )
    logger.info(
        "The autoencoder explains %.1f %% of the %s of held-out cells, "
        "as many principal components %.1f %%.",
        100 * history["explained"],
        "deviance" if likelihood == "nb" else "variance",
        100 * history["explained_pca"],
    )
