"""A nonlinear representation that leads back to genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from scdiffot._data.read.checks import check_count, check_number, is_mudata, writable
from scdiffot._data.read.expression import (
    check_counts,
    check_varying,
    constant_genes,
    expression,
    gene_mask,
)
from scdiffot._data.read.gene_names import check_unambiguous, gene_names
from scdiffot._data.write.autoencoders import check_free_autoencoder, write_autoencoder
from scdiffot._utils.logging import logger
from scdiffot._utils.options import MAX_BATCH, MAX_HIDDEN, MAX_STEPS
from scdiffot._utils.progress import progress_bar
from scdiffot._utils.rng import as_generator, rng_name
from scdiffot.core.genes.autoencoder_fit import fit_autoencoder
from scdiffot.core.nets.devices import resolve_device

if TYPE_CHECKING:
    import torch
    from anndata import AnnData

# Steps after which many cells have been seen enough, and the limits of the epochs they make.
N_STEPS = 20_000
EPOCHS = (20, 400)


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
    r"""Learn a representation from which expression is decoded better than from as many principal components.

    Encoder and decoder are each a linear map plus a perceptron of one hidden layer. They start as the principal components, with
    perceptrons that add nothing, and are trained until held-out cells no longer gain: on these it never falls behind its start.

    With a normal likelihood the squared error of :math:`x` counts, as for a PCA. With a negative binomial one the counts
    :math:`c_{ij}` of cell i and gene j have the mean :math:`s_i \mu_j(z_i)` and a dispersion of their gene
    :cite:p:`Eraslan2019`, where :math:`s_i` is the total of the cell over all genes of the layer, in units of 10,000. The encoder sees
    :math:`\log(1 + c_{ij} / s_i)`, and decoded expression is :math:`\log(1 + \mu_j)`: not negative, and zero where a gene is off.

    Parameters
    ----------
    adata
        Cells; of a MuData, one modality. Sparse matrices stay sparse but for batches of cells.
    n_latent
        Number of dimensions.
    layer
        Layer with the expression; X by default. Log-normalised for ``"gaussian"``, raw counts for ``"nb"``.
    mask_var
        Genes to use: a column of `adata.var` or an array of True and False. By default the ``"highly_variable"`` ones if they are
        marked, else all. Genes that are the same in all cells are left out.
    likelihood
        ``"gaussian"`` or ``"nb"``.
    n_hidden
        Hidden units of each perceptron.
    max_epochs
        Passes over the cells at most; by default 400, or as few as make 20,000 steps, but 20.
    patience
        Epochs without a gain on the held-out cells after which to stop.
    validation_size
        Share of cells to hold out.
    batch_size
        Cells in a step.
    rng
        Seed or generator. Equal seeds give equal results on one machine.
    device
        ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or a `torch.device`.
    key_added
        Name of the representation.
    show_progress
        Whether to show a bar.
    copy
        Whether to return a copy instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Sets the following fields:

    `adata.obsm["{key_added}"]` : array of shape ``(n, n_latent)``
        States, each dimension of mean 0 and standard deviation 1.
    `adata.uns["{key_added}"]` : dict
        ``params``; ``history``: ``loss`` and ``loss_validation`` after every epoch, the start first, and the share of the variance (or
        of the Poisson deviance of counts) of held-out cells that is ``explained``, with ``explained_pca`` by as many principal
        components; ``genes`` and ``decoder``, the networks as arrays: functions that speak of genes find them there after
        ``tl.fit(adata, time_key, use_rep="{key_added}")``.

    Interrupted (Ctrl-C), it keeps the best networks so far and logs a warning.

    Raises
    ------
    KeyError
        If there is no such layer or column.
    TypeError
        If an argument has the wrong type, or `adata` is no AnnData.
    ValueError
        If counts are given to ``"gaussian"`` or anything else to ``"nb"``, expression is missing or infinite, a cell has no counts,
        too few genes vary or too few cells are left, a number is out of range, or a name is taken. Nothing is written then.

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
        raise TypeError(
            f"`adata` is a MuData: pass one modality, such as mdata[{next(iter(adata.mod), 'rna')!r}]."
        )
    generator, where = as_generator(rng), resolve_device(device)
    adata = writable(adata, copy=copy)
    check_free_autoencoder(adata, key_added)
    if likelihood not in ("gaussian", "nb"):
        raise ValueError(f"`likelihood` is {likelihood!r}: pass 'gaussian' or 'nb'.")
    n_latent, n_hidden = (
        check_count("n_latent", n_latent, 1),
        check_count("n_hidden", n_hidden, 1, MAX_HIDDEN),
    )
    patience, batch_size = (
        check_count("patience", patience, 1),
        check_count("batch_size", batch_size, 1, MAX_BATCH),
    )
    validation_size = check_number("validation_size", validation_size, 0, 0.5, above=True)
    n_validation = max(int(np.ceil(validation_size * adata.n_obs)), 2)
    n_trained = adata.n_obs - n_validation
    if n_trained <= n_latent:
        raise ValueError(
            f"`n_latent` is {n_latent}, but {max(n_trained, 0)} cells are left to train on: pass fewer dimensions, or more cells."
        )
    if max_epochs is None:
        max_epochs = int(np.clip(N_STEPS * batch_size / n_trained, *EPOCHS))
    max_epochs = check_count("max_epochs", max_epochs, 1, MAX_STEPS)
    columns = np.flatnonzero(gene_mask(adata, mask_var))
    # the autoencoder finds its genes again by name
    check_unambiguous(gene_names(adata), adata.var_names[columns])
    # a cell's total is over all genes, so all are read for counts
    counts = likelihood == "nb"
    values = expression(adata, layer, None if counts else columns)
    remedy = (
        "use likelihood='gaussian' for what is no counts"
        if counts
        else "log-normalise them (scanpy.pp.normalize_total, log1p), or use likelihood='nb'"
    )
    check_counts(adata, values, layer, wanted=counts, remedy=remedy)
    totals = (
        np.asarray(values.sum(axis=1, dtype=np.float64)).ravel() if counts else np.ones(adata.n_obs)
    )
    if not totals.all():
        raise ValueError(
            f"`adata` has {(totals == 0).sum()} cells without any count: filter them with scanpy.pp.filter_cells."
        )
    values = values[:, columns] if counts else values
    constant = constant_genes(values)
    check_varying(adata.var_names.to_numpy()[columns], constant, n_latent + 1)
    columns, values = columns[~constant], values[:, ~constant] if constant.any() else values
    with progress_bar("Autoencoder", show=show_progress) as callback:
        model, states, history = fit_autoencoder(
            values,
            totals,
            n_latent=n_latent,
            likelihood=likelihood,
            n_hidden=n_hidden,
            max_epochs=max_epochs,
            patience=patience,
            n_validation=n_validation,
            batch_size=batch_size,
            rng=generator,
            device=where,
            callback=callback,
        )
    if history["interrupted"]:
        logger.warning(
            "Interrupted after %d epochs: the best networks so far are kept.",
            np.size(history["loss"]) - 1,
        )
    logger.info(
        "Of held-out cells, %.1f %% of the %s is explained; %.1f %% by as many principal components.",
        100 * history["explained"],
        "deviance" if counts else "variance",
        100 * history["explained_pca"],
    )
    params = {
        "n_latent": n_latent,
        "layer": layer or "",
        "likelihood": likelihood,
        "n_hidden": n_hidden,
        "max_epochs": max_epochs,
        "patience": patience,
        "n_validation": n_validation,
        "batch_size": batch_size,
        "rng": rng_name(rng),
    }
    write_autoencoder(
        adata,
        key_added,
        states=states,
        params=params,
        history=history,
        decoder=model,
        columns=columns,
    )
    return adata if copy else None
