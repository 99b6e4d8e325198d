"""The main workflow of a user, as a script.

`python _workflow.py FOLDER` runs the workflow and writes the results into the folder.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import torch

import scdiffot as sdo

if TYPE_CHECKING:
    from collections.abc import Iterator

# A fit of about a second: the result is imprecise, its layout is the same.
QUICK: dict[str, Any] = {
    "sigma": 0.3,
    "config": {
        "train": {"n_steps": 40, "batch_size": 128},
        "corrections": {"n_rounds": 0},
        "matching": {"n_steps": 5},
    },
}


def dynamics() -> ad.AnnData:
    """A time course in two genes with every result of the dynamics."""
    adata = sdo.datasets.misa(100)
    sdo.tl.fit(adata, "time", use_rep="X", form="separate", **QUICK)
    sdo.tl.validate(adata)
    sdo.tl.sta_forward(adata, "cell_type", "time < 6", n_trajectories=10, path=True)
    sdo.tl.sta_backward(adata, "cell_type", n_trajectories=5)
    sdo.tl.landscape(adata, cell_key="cell_type", n_grid=20)
    genes = list(adata.var_names[:2])
    sdo.tl.perturb(adata, genes[0], "cell_type", n_trajectories=10)
    sdo.tl.perturb_screen(adata, "cell_type", genes=genes, n_trajectories=5, n_refined=5)
    sdo.tl.regulation(adata, groupby="cell_type", n_cells=50)
    sdo.tl.growth_genes(adata, groupby="cell_type", n_cells=50)
    sdo.tl.trajectory_genes(adata, "cell_type", n_cells=50, n_trajectories=5)
    sdo.tl.gene_velocity(adata)
    sdo.tl.transition_matrix(adata)
    adata.obsm["X_plane"] = adata.X[:, ::-1].copy()
    sdo.tl.project(adata, "plane")
    sdo.tl.interpolate(adata, 1.5)
    tables = (sdo.get.fate, sdo.get.perturbation, sdo.get.perturb_screen, sdo.get.regulation)
    for table in tables:
        table(adata)
    return adata


def plots_of_dynamics(adata: ad.AnnData) -> None:
    """Every plot of the dynamics."""
    paths = sdo.tl.simulate(adata, n_particles=20)
    sdo.pl.trajectories(adata, paths, show=False)
    sdo.pl.trajectories(adata, paths, by="fate", show=False)
    sdo.pl.population(adata, paths, show=False)
    sdo.pl.velocity(adata, color="cell_type", show=False)
    sdo.pl.velocity(adata, basis="plane", show=False)
    kinds: dict[Any, tuple[str, ...]] = {
        sdo.pl.fate: ("embedding", "composition", "alluvial"),
        sdo.pl.ancestry: ("embedding", "composition"),
        sdo.pl.landscape: ("contour", "surface"),
        sdo.pl.perturb: ("composition", "shift"),
    }
    for plot, names in kinds.items():
        for kind in names:
            plot(adata, kind=kind, show=False)
            _close()
    sdo.pl.regulation(adata, group="X", show=False)
    plots = (
        sdo.pl.growth,
        sdo.pl.history,
        sdo.pl.perturb_screen,
        sdo.pl.trajectory_genes,
        sdo.pl.validation,
    )
    for plot in plots:
        plot(adata, show=False)
        _close()
    sdo.pl.growth_genes(adata, group="X", show=False)
    _close()


def responses() -> ad.AnnData:
    """Treated and untreated cells with every result of the response."""
    adata = sdo.datasets.perturbation_response(400, n_dims=5, n_genes=20, n_types=2, n_donors=2)
    sdo.tl.fit_response(
        adata, "condition", "control", "drug", context="donor", config={"train": {"n_steps": 30}}
    )
    sdo.tl.predict_response(adata, genes=True)
    sdo.tl.response_subpopulations(adata, groupby="subpopulation")
    sdo.tl.evaluate_response(adata, "condition", "control", "drug", n_boot=10)
    sdo.get.response(adata)
    for kind in ("genes", "embedding", "effect"):
        sdo.pl.response(adata, kind=kind, show=False)
    sdo.pl.response_evaluation(adata, show=False)
    _close()
    return adata


def tissue() -> ad.AnnData:
    """Slices of a tissue, aligned and fitted."""
    adata = sdo.datasets.spatial_slices(150, n_times=3, n_genes=10, n_dims=3, n_paths=5)
    sdo.tl.align_slices(adata, "slice", n_starts=4)
    sdo.tl.fit(adata, "time", spatial_key="scdiffot_aligned", autonomous=True, **QUICK)
    sdo.tl.spatial_domains(
        adata, 2, use_rep="X_pca", spatial_key="scdiffot_aligned", library_key="slice", n_init=2
    )
    sdo.tl.spatial_genes(adata, spatial_key="scdiffot_aligned", library_key="slice")
    between = adata.obs["slice"].cat.categories[:2]
    virtual = sdo.tl.interpolate_slices(
        adata, between, 0.5, library_key="slice", spatial_key="scdiffot_aligned"
    )
    check_plain(virtual)
    sdo.tl.transfer_genes(
        adata, adata.copy(), genes=list(adata.var_names[:2]), n_neighbors=10, n_held_out=2, n_dims=3
    )
    sdo.pl.slices(adata, "slice", color="cell_type", spatial_key="scdiffot_aligned", show=False)
    sdo.pl.slices(
        adata,
        "slice",
        color="scdiffot_growth",
        spatial_key="scdiffot_aligned",
        arrows="scdiffot_migration",
        show=False,
    )
    _close()
    return adata


def strings(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All names and texts in a value of `uns`, a table or an array of objects, with their paths."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, pd.DataFrame):
        yield from strings(value.index, f"{path}.index")
        yield from strings(value.columns, f"{path}.columns")
        for name in value.columns:
            yield from strings(value[name], f"{path}[{name!r}]")
    elif isinstance(value, Mapping):
        # anndata 0.13 lists X among the layers, as None.
        yield from ((f"keys of {path}", key) for key in value if key is not None)
        for key, part in value.items():
            yield from strings(part, f"{path}[{key!r}]")
    elif isinstance(getattr(value, "dtype", None), pd.CategoricalDtype):
        yield from strings(value.dtype.categories, f"{path}.categories")
    elif isinstance(value, np.ndarray | pd.Index | pd.Series) and pd.api.types.is_object_dtype(
        value.dtype
    ):
        yield from ((path, text) for text in value if isinstance(text, str))


def check_plain(adata: ad.AnnData) -> None:
    """Names and texts are plain strings, as the oldest writers need them."""
    for part in ("obs", "var", "obsm", "varm", "layers", "uns"):
        paths = {
            path for path, text in strings(getattr(adata, part), part) if type(text) is not str
        }
        assert not paths, paths


def _close() -> None:
    import matplotlib.pyplot as plt

    plt.close("all")


def frames() -> None:
    """Fits of states in a table, which is read-only in pandas 3."""
    adata = sdo.datasets.misa(100)
    adata.obsm["X_table"] = pd.DataFrame(adata.X, index=adata.obs_names, columns=["a", "b"])
    sdo.tl.fit(adata, "time", use_rep="X_table", **QUICK)
    sdo.tl.sta_forward(adata, "cell_type", n_trajectories=5)
    sdo.tl.fit_response(
        adata, "cell_type", "X", "Y", use_rep="X_table", config={"train": {"n_steps": 30}}
    )
    sdo.tl.predict_response(adata)


def write_and_read(adata: ad.AnnData, folder: Path, name: str) -> None:
    """Write every format, and compare the copies read back."""
    check_plain(adata)
    for suffix in ("h5ad", "zarr"):
        path = folder / f"{name}.{suffix}"
        getattr(adata, f"write_{suffix}")(path)
        copy = getattr(ad, f"read_{suffix}")(path)
        for key, table in adata.obsm.items():
            np.testing.assert_array_equal(np.asarray(copy.obsm[key]), np.asarray(table))
            assert copy.uns.keys() == adata.uns.keys()


def main(folder: Path) -> None:
    """Run everything."""
    # anndata announces its next default at every writing.
    warnings.filterwarnings("ignore", "Writing zarr v2", UserWarning)
    # By default torch warns once in a process only.
    torch.set_warn_always(True)
    logging.getLogger("scdiffot").setLevel(logging.ERROR)
    time_course = dynamics()
    write_and_read(time_course, folder, "dynamics")
    for adata in (
        time_course,
        ad.read_h5ad(folder / "dynamics.h5ad"),
        time_course[::2].copy(),
    ):
        plots_of_dynamics(adata)
    frames()
    for name, analyse in (("responses", responses), ("tissue", tissue)):
        write_and_read(analyse(), folder, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
