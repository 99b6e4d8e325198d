"""Epithelial-mesenchymal transition of lung cancer cells."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._utils.docs import fill_parameters

from .download import path_of
from .frame import DIFFUSIONOT, make_adata, read_npz

if TYPE_CHECKING:
    from anndata import AnnData

# Stage of the source: day and name
_STAGES = {
    "1": (0.0, "untreated"),
    "2": (2.0, "TGFb day 2"),
    "3": (6.0, "TGFb day 6"),
    "4": (10.0, "TGFb day 10"),
    "5": (12.0, "withdrawal 1"),
    "6": (16.0, "withdrawal 2"),
    "7": (20.0, "withdrawal 3"),
}


@fill_parameters
def emt(*, show_progress: bool = True) -> AnnData:
    """Lung cancer cells under TGF-beta and after its withdrawal, by mass cytometry.

    87,354 HCC827 cells with 38 markers at seven times :cite:p:`Karacosta2019`: four days of
    treatment, through which epithelial cells (E) become mesenchymal (M) through an intermediate
    state (pEMT), and three stages after withdrawal, when some cells revert (MET). The states are
    the first two principal components, as prepared by the authors of DiffusionOT.

    Every time has about the same number of measured events by design, so numbers of cells carry no
    biology: fit with ``mass=None``.

    Parameters
    ----------
    %(show_download)s

    Returns
    -------
    87,354 cells; no expression matrix (`X` is None).

    - ``obs["time"]``: day, 0, 2, 6, 10 of treatment. The source gives no days for the stages of
      withdrawal: they are set to 12, 16 and 20, spaced like the stages of treatment.
    - ``obs["time_label"]``: name of the stage; ``obs["treated"]``: whether TGF-beta was present.
    - ``obs["cell_type"]``: E, pEMT, M or MET.
    - ``obsm["X_pca"]``: principal components, shape ``(87354, 2)``; ``obsm["X_pca_scaled"]``: the
      scale of DiffusionOT, ``(X_pca - 1) / 4.5``.
    - ``varm["PCs"]``, ``var["mean"]``, ``uns["pca"]``: loadings (38 markers by 2), mean, variances:
      ``X_pca @ PCs.T + mean`` decodes.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder named by `SCDIFFOT_DATA` lacks a file, or a file is damaged.
    ConnectionError
        If a download fails.

    See Also
    --------
    scdiffot.datasets.deepruot : The table of this transition that DeepRUOT uses.
    scdiffot.datasets.zebrafish : Another published time course.
    scdiffot.tl.fit : Fit a model to the time course.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.emt()  # doctest: +SKIP
    >>> treatment = adata[adata.obs["treated"]].copy()  # doctest: +SKIP
    """
    import pandas as pd

    data = read_npz("diffusionot/EMT.npz", show_progress=show_progress)
    genes = pd.read_csv(
        path_of("diffusionot/gene_name_EMT.csv", show_progress=show_progress), index_col=0
    ).iloc[:, 0]
    model = _load_pca(show_progress=show_progress)
    pcs = 4.5 * data["pca_scaled"] + 1
    stage = data["time_label"].astype(str)
    adata = make_adata(
        np.array([_STAGES[s][0] for s in stage]),
        np.array([_STAGES[s][1] for s in stage]),
        genes=genes.tolist(),
        cell_types=data["type_label"],
        obsm={"X_pca": pcs, "X_pca_scaled": data["pca_scaled"]},
        uns=DIFFUSIONOT | {"citation": "Karacosta et al., Nature Communications 10, 5587 (2019)"},
    )
    adata.obs["treated"] = adata.obs["time"] <= 10
    adata.varm["PCs"] = _orient(model["components"], model["mean"], pcs).T
    adata.var["mean"] = model["mean"]
    adata.uns["pca"] = {
        "variance": pcs.var(axis=0, ddof=1),
        "variance_ratio": model["explained_variance_ratio"],
    }
    return adata


def _orient(components: np.ndarray, mean: np.ndarray, pcs: np.ndarray) -> np.ndarray:
    """Choose the signs of the components, which the source does not give.

    Markers are not negative. One of the four choices decodes every cell to positive markers (and
    epithelial cells to the higher E-cadherin); the others decode some to values far below zero.
    """
    signs = [np.array([[a], [b]], dtype=components.dtype) for a in (1, -1) for b in (1, -1)]
    return max((s * components for s in signs), key=lambda c: float((mean + pcs @ c).min()))


def _load_pca(*, show_progress: bool) -> dict[str, np.ndarray]:
    """The principal components: rows of `components`, `mean` and `explained_variance_ratio`."""
    try:
        path = path_of("diffusionot/pca_model_2d_EMT.pkl", show_progress=show_progress)
    except FileNotFoundError:
        return read_npz("diffusionot/EMT_pca.npz", show_progress=show_progress)
    attributes = _read_pca(path.read_bytes())
    return {
        name: attributes[f"{name}_"].squeeze()
        for name in ("components", "mean", "explained_variance_ratio")
    }


def _read_pca(content: bytes) -> dict[str, np.ndarray]:
    """Read the pickled PCA of DiffusionOT without its class, as arrays."""
    import torch

    class Model:
        """Stands for the class of the pickle, which only holds attributes."""

    # Unpickling is limited to these names; torch's own restricted reader loads the tensors.
    allowlist: dict[tuple[str, str], Any] = {
        ("torch_pca.pca_main", "PCA"): Model,
        ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
        ("torch.storage", "_load_from_bytes"): lambda b: torch.load(
            io.BytesIO(b), weights_only=True
        ),
        ("collections", "OrderedDict"): dict,
    }

    class Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in allowlist:
                raise pickle.UnpicklingError(
                    f"{module}.{name} is no part of a principal component analysis."
                )
            return allowlist[module, name]

    attributes = vars(Reader(io.BytesIO(content)).load())
    return {
        key: value.numpy() for key, value in attributes.items() if isinstance(value, torch.Tensor)
    }
