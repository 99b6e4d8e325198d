"""Mouse haematopoiesis in vitro."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot._utils.docs import fill_parameters

from .frame import DIFFUSIONOT, make_adata, read_npz

if TYPE_CHECKING:
    from anndata import AnnData


@fill_parameters
def mouse_hematopoiesis(*, show_progress: bool = True) -> AnnData:
    """Mouse haematopoietic progenitors differentiating in vitro, by single-cell RNA sequencing.

    43,968 cells at days 2, 4 and 6 of culture :cite:p:`Weinreb2020`, of eleven types, in the two
    latent dimensions of an autoencoder, as prepared by the authors of DiffusionOT.

    Parameters
    ----------
    %(show_download)s

    Returns
    -------
    43,968 cells without genes.

    - ``obs["time"]``: day; ``obs["time_label"]``: the same as text.
    - ``obs["cell_type"]``: Undifferentiated, Mo (monocytes), Neu (neutrophils), Er (erythroid), Ba
      (basophils), Mk (megakaryocytes), Ma (mast cells), cDC, Eos, pDC1, pDC2.
    - ``obsm["X_ae"]``: latent state, shape ``(43968, 2)``.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder named by `SCDIFFOT_DATA` lacks the file, or the file is damaged.
    ConnectionError
        If the download fails.

    See Also
    --------
    scdiffot.datasets.deepruot : The table of this culture that DeepRUOT uses.
    scdiffot.datasets.zebrafish : Another published time course.
    scdiffot.tl.sta_forward : Predict the fates of cells.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.mouse_hematopoiesis()  # doctest: +SKIP
    """
    data = read_npz("diffusionot/Mouse_latent_ae_scaled.npz", show_progress=show_progress)
    labels = data["time_label"].astype(str)
    return make_adata(
        labels.astype(float),
        labels,
        cell_types=data["type_label"],
        obsm={"X_ae": data["latent_ae_scaled"]},
        uns=DIFFUSIONOT | {"citation": "Weinreb et al., Science 367, eaaw3381 (2020)"},
    )
