"""Regeneration of hair cells in zebrafish."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.docs import fill_parameters

from .frame import DIFFUSIONOT, make_adata, read_npz

if TYPE_CHECKING:
    from anndata import AnnData

_HOURS = {"0min": 0.0, "30min": 0.5, "3hr": 3.0, "5hr": 5.0}


@fill_parameters
def zebrafish(*, show_progress: bool = True) -> AnnData:
    """Lateral line of zebrafish regenerating its hair cells, by single-cell RNA sequencing.

    7,116 cells at 0, 0.5, 3 and 5 hours after the hair cells were killed :cite:p:`Baek2022`, of
    four types, in the six latent dimensions of an autoencoder, as prepared by the authors of
    DiffusionOT.

    Parameters
    ----------
    %(show_download)s

    Returns
    -------
    7,116 cells without genes.

    - ``obs["time"]``: hours; ``obs["time_label"]``: the label of the source.
    - ``obs["cell_type"]``: SC0 and SC1 (support cells), PC (progenitor cells), HC (hair cells).
    - ``obsm["X_ae"]``: latent state, shape ``(7116, 6)``.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder named by `SCDIFFOT_DATA` lacks the file, or the file is damaged.
    ConnectionError
        If the download fails.

    See Also
    --------
    scdiffot.datasets.mouse_hematopoiesis : Another time course in a latent space.
    scdiffot.datasets.emt : A time course with loadings of the markers.
    scdiffot.tl.fit : Fit a model to the time course.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.zebrafish()  # doctest: +SKIP
    """
    data = read_npz("diffusionot/Zebrafish_latent_ae_scaled.npz", show_progress=show_progress)
    return make_adata(
        np.array([_HOURS[label] for label in data["time_label"]]),
        data["time_label"],
        cell_types=data["type_label"],
        obsm={"X_ae": data["latent_ae_scaled"]},
        uns=DIFFUSIONOT | {"citation": "Baek et al., Developmental Cell 57, 799-819 (2022)"},
    )
