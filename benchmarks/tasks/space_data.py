"""Slices of part K, from the folder of the user: they are not part of `scdiffot.datasets`."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scdiffot.datasets._published.download import FOLDER_VARIABLE

if TYPE_CHECKING:
    from anndata import AnnData

MPFC, ROTATING = "starmap_mpfc.h5ad", "simulated_rotating_tissue.h5ad"
PATIENTS = ("A", "B", "C", "D")
N_GENES, N_DIMS = 2000, 30


def her2st_file(patient: str) -> str:
    """File of the sections of one patient."""
    return f"her2st_{patient}.h5ad"


# Files that each table needs
FILES = {
    "domains": (MPFC,),
    "alignment": tuple(her2st_file(patient) for patient in PATIENTS),
    "slices": (*(her2st_file(patient) for patient in PATIENTS), MPFC),
    "rotating": (ROTATING,),
}


def path_of(name: str) -> Path | None:
    """Path of a file; None without the folder or the file."""
    folder = os.environ.get(FOLDER_VARIABLE)
    path = Path(folder).expanduser() / "spatial" / name if folder else None
    return path if path is not None and path.exists() else None


def missing_files(dataset: str) -> list[str]:
    """Files that a table needs and that do not exist."""
    return [name for name in FILES.get(dataset, ()) if path_of(name) is None]


def is_available(dataset: str) -> bool:
    """Whether a table can be measured; otherwise a warning names the missing files."""
    files = missing_files(dataset)
    if files:
        names = ", ".join(f"spatial/{name}" for name in files)
        warnings.warn(
            f"{dataset} is left out: {names} not found in the folder ${FOLDER_VARIABLE}.",
            stacklevel=2,
        )
    return not files


def read(name: str) -> AnnData:
    """Read a file unchanged."""
    import anndata as ad

    path = path_of(name)
    assert path is not None, name
    return ad.read_h5ad(path)


def her2st(patient: str) -> AnnData:
    """Six breast cancer sections of a patient, with joint components and the labels as strings."""
    import scanpy as sc

    adata = read(her2st_file(patient))
    sc.pp.filter_genes(adata, min_cells=20)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=N_GENES)
    sc.pp.pca(adata, n_comps=N_DIMS, mask_var="highly_variable")
    adata.obsm["spatial"] = np.asarray(adata.obsm["spatial"], dtype=np.float64)
    adata.obs["cluster"] = adata.obs["clu"].astype(object).fillna("").astype(str)
    return adata


def mpfc() -> AnnData:
    """Three sections of the mouse medial prefrontal cortex with layers, without components."""
    import scanpy as sc

    adata = read(MPFC)
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    adata.obs["slice"] = adata.obs["slice"].astype(str).astype("category")
    adata.obs["cluster"] = adata.obs["label"].astype(str)
    return adata


def slice_names(adata: AnnData) -> list[str]:
    """Names of the slices in their order in the tissue, by the number in the name."""
    names = adata.obs["slice"].astype(str).unique()
    return sorted(names, key=lambda name: int("".join(c for c in name if c.isdigit())))
