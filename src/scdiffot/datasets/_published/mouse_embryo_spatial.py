"""Sections of mouse embryos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.docs import fill_parameters

from .frame import DIFFUSIONOT, make_adata, read_npz

if TYPE_CHECKING:
    from anndata import AnnData


@fill_parameters
def mouse_embryo_spatial(*, show_progress: bool = True) -> AnnData:
    """Sections of mouse embryos from E9.5 to E16.5, by Stereo-seq.

    29,000 spots of five stages and eight tissues, a subsample of the MOSTA atlas
    :cite:p:`Chen2022` with the two latent dimensions of an autoencoder, as prepared by the authors
    of DiffusionOT.

    The sections were subsampled to round numbers (2,500 to 8,000), which do not reflect the growth
    of the embryo.

    Parameters
    ----------
    %(show_download)s

    Returns
    -------
    29,000 spots without genes.

    - ``obs["time"]``: embryonic day; ``obs["time_label"]``: the stage, such as ``"E9.5"``.
    - ``obs["cell_type"]``: tissue.
    - ``obsm["X_ae"]``: latent state, shape ``(29000, 2)``.
    - ``obsm["spatial"]``: position in the section, shape ``(29000, 2)``; each section has its own
      frame.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder named by `SCDIFFOT_DATA` lacks the file, or the file is damaged.
    ConnectionError
        If the download fails.

    See Also
    --------
    scdiffot.datasets.spatial_slices : Simulated slices with the truth about every cell.
    scdiffot.tl.align_slices : Bring slices into one frame.
    scdiffot.tl.fit : Fit a model to the time course.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.mouse_embryo_spatial()  # doctest: +SKIP
    """
    data = read_npz("diffusionot/Spa_latent_ae_scaled.npz", show_progress=show_progress)
    return make_adata(
        np.array([float(label[1:]) for label in data["time_label"]]),
        data["time_label"],
        cell_types=data["type_label"],
        obsm={"X_ae": data["latent_ae_scaled"], "spatial": data["spatial_cord"]},
        uns=DIFFUSIONOT | {"citation": "Chen et al., Cell 185, 1777-1792 (2022)"},
    )
