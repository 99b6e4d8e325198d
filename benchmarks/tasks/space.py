"""Part K: tissue in space and time, against simple baselines and simulated truth."""

from __future__ import annotations

import time
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

import scdiffot as sdo
from benchmarks.tasks import space_data, space_scale, space_slices
from scdiffot.core.spatial.between.interpolation import joint_distance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row

DATASETS = ("domains", "alignment", "slices", "rotating", "tissue", "scale")
N_DOMAINS, N_COMPONENTS = 4, 20
# More seeds than in the other tables, because this table measures the spread over seeds
N_SEEDS_DOMAINS, N_SEEDS_DOMAINS_QUICK = 5, 2
# Bisections of the resolution of Leiden clustering
N_BISECTIONS = 12
# Cells of the first slice: growth is the hardest field to learn from few cells.
SIZES, N_OBS_QUICK = (500, 1000), 150
# Spots of a virtual stage, and maximal number of spots in its distances
N_SPOTS = 1500
TISSUE_FITS: dict[str, dict[str, Any]] = {
    "scdiffot": {"spatial_key": "spatial", "autonomous": True},
    "scdiffot, changing with time": {"spatial_key": "spatial"},
    "scdiffot, states alone": {"autonomous": True},
}


def run(name: str, settings: Settings) -> Iterator[Row]:
    """Rows of a table; none if its data are not available."""
    if not space_data.is_available(name):
        return
    if name == "scale":
        yield from space_scale.run(settings)
        return
    if name == "domains":
        yield from _domains(settings)
        return
    tasks = {
        "alignment": space_slices.alignment,
        "slices": space_slices.held_out,
        "rotating": rotating,
        "tissue": tissue,
    }
    for seed in range(settings.n_seeds):
        for row in tasks[name](seed, settings):
            yield {"seed": seed, **row}


def _domains(settings: Settings) -> Iterator[Row]:
    import scanpy as sc
    from sklearn.metrics import adjusted_rand_score

    cortex = space_data.mpfc()
    names = space_data.slice_names(cortex)
    slices = {name: cortex[cortex.obs["slice"] == name].copy() for name in names}
    for adata in (cortex, *slices.values()):
        sc.pp.pca(adata, random_state=0)
    # The first call compiles code, which must not be measured.
    sc.pp.neighbors(slices[names[0]].copy(), n_pcs=N_COMPONENTS)
    cases = [
        *(("each alone", name, adata) for name, adata in slices.items()),
        ("together", None, cortex),
    ]
    for seed in range(N_SEEDS_DOMAINS_QUICK if settings.quick else N_SEEDS_DOMAINS):
        for task, only, adata in cases:
            for method in DOMAINS:
                start = time.process_time()
                domains = DOMAINS[method](adata, "slice" if only is None else None, seed)
                cpu_s = time.process_time() - start
                for name in names if only is None else [only]:
                    mask = (adata.obs["slice"] == name).to_numpy()
                    ari = adjusted_rand_score(adata.obs["label"][mask], domains[mask])
                    row = {"task": task, "variant": name, "method": method, "seed": seed}
                    scores = {"ari": float(ari), "n_domains": len(set(domains))}
                    yield row | scores | {"cpu_s": cpu_s}


def _neighbourhoods(adata: AnnData, library_key: str | None, seed: int) -> np.ndarray:
    sdo.pp.spatial_embedding(adata, library_key=library_key)
    sdo.tl.spatial_domains(adata, N_DOMAINS, rng=seed)
    return adata.obs["scdiffot_domain"].to_numpy()


def _mixture(adata: AnnData, library_key: str | None, seed: int) -> np.ndarray:
    sdo.tl.spatial_domains(
        adata, N_DOMAINS, use_rep="X_pca", n_dims=N_COMPONENTS, rng=seed, key_added="plain"
    )
    return adata.obs["plain_domain"].to_numpy()


def _leiden(adata: AnnData, library_key: str | None, seed: int) -> np.ndarray:
    """Leiden clusters at the first resolution that gives as many clusters as layers.

    Without such a resolution, the number of clusters is the nearest one of all bisections.
    """
    import scanpy as sc

    sc.pp.neighbors(adata, n_pcs=N_COMPONENTS, random_state=seed, key_added="plain")
    low, high, best = 0.01, 2.0, np.zeros(adata.n_obs, dtype=object)
    for _ in range(N_BISECTIONS):
        middle = np.sqrt(low * high)
        sc.tl.leiden(
            adata,
            resolution=middle,
            neighbors_key="plain",
            flavor="igraph",
            n_iterations=2,
            directed=False,
            random_state=seed,
            key_added="leiden",
        )
        clusters = adata.obs["leiden"].to_numpy()
        n_clusters, n_best = len(set(clusters)), len(set(best))
        if abs(n_clusters - N_DOMAINS) < abs(n_best - N_DOMAINS):
            best = clusters
        if n_clusters == N_DOMAINS:
            break
        low, high = (middle, high) if n_clusters < N_DOMAINS else (low, middle)
    return best


DOMAINS = {"scdiffot": _neighbourhoods, "PCA + mixture": _mixture, "PCA + leiden": _leiden}


def rotating(seed: int, settings: Settings) -> Iterator[Row]:
    """Rotations between the stages of a tissue, and predictions of held-out stages."""
    adata = space_data.read(space_data.ROTATING)
    adata.obs["stage"] = adata.obs["time"].map(lambda t: f"{t:g}")
    adata.obs["time"] = adata.obs["time"].astype(float)
    times = np.unique(adata.obs["time"])
    start = time.process_time()
    sdo.tl.align_slices(
        adata, "stage", f"{times[0]:g}", use_rep="X_input", key_added="stages", show_progress=False
    )
    cpu_s = time.process_time() - start
    table = sdo.get.alignment(adata, key="stages").table.set_index("slice")
    true = np.degrees(adata.obs.groupby("time")["theta"].first().to_numpy())
    # The coordinates are turned by theta, so the alignment has the opposite angle.
    angles = np.array([table.loc[f"{t:g}", "angle"] for t in times])
    errors = np.abs(np.diff(angles + true))
    row = {"task": "angles", "method": "scdiffot", "reflected": bool(table["reflected"].any())}
    values = {"angles": np.diff(angles), "true": -np.diff(true), "errors": errors}
    yield row | values | {"cpu_s": cpu_s}
    for k in range(1, 2 if settings.quick else len(times) - 1):
        row = {"task": "held-out time", "variant": f"{times[k]:g}"}
        for method, scores in _held_out_time(adata, times, k, seed, settings):
            yield row | {"method": method, **scores}


def _held_out_time(
    adata: AnnData, times: np.ndarray, k: int, seed: int, settings: Settings
) -> Iterator[tuple[str, Row]]:
    cell_times = adata.obs["time"].to_numpy()
    x, f = (np.asarray(adata.obsm[key], dtype=np.float64) for key in ("stages_aligned", "X_input"))
    true = cell_times == times[k]

    def score(positions: np.ndarray, states: np.ndarray) -> Row:
        return {
            "joint": joint_distance(positions, states, x[true], f[true], n_max=N_SPOTS, rng=seed)
        }

    start = time.process_time()
    sdo.tl.fit(
        adata,
        "time",
        use_rep="X_input",
        spatial_key="stages_aligned",
        spatial_align=False,
        held_out=[float(times[k])],
        rng=seed,
        device="cpu",
        show_progress=False,
        **settings.fit,
    )
    cpu_s = time.process_time() - start
    virtual = sdo.tl.interpolate(adata, float(times[k]), n_obs=N_SPOTS, rng=seed)
    mass = float(sdo.tl.interpolate(adata, float(times[k]), rng=seed).obs["weight"].sum())
    true_mass = true.sum() / (cell_times == times[0]).sum()
    yield (
        "scdiffot",
        score(np.asarray(virtual.obsm["stages_aligned"]), np.asarray(virtual.obsm["X_input"]))
        | {"mass_error": abs(mass - true_mass) / true_mass, "cpu_s": cpu_s},
    )
    for name, j in (("copy of the one before", k - 1), ("copy of the one after", k + 1)):
        neighbour = cell_times == times[j]
        yield name, score(x[neighbour], f[neighbour])
    order = np.random.default_rng(seed).permutation(np.flatnonzero(true))
    a, b = np.array_split(order, 2)
    yield "halves", {"joint": joint_distance(x[a], f[a], x[b], f[b], n_max=N_SPOTS, rng=seed)}


def tissue(seed: int, settings: Settings) -> Iterator[Row]:
    """Migration, velocity, growth and fates in a simulated tissue, with and without positions."""
    sizes = (settings.n_obs or N_OBS_QUICK,) if settings.quick else SIZES
    for n_obs, (method, options) in product(sizes, TISSUE_FITS.items()):
        adata = sdo.datasets.spatial_slices(n_obs, rng=seed)
        start = time.process_time()
        sdo.tl.fit(
            adata,
            "time",
            use_rep="X_pca",
            rng=seed,
            device="cpu",
            show_progress=False,
            **settings.fit,
            **options,
        )
        cpu_s = time.process_time() - start
        first = float(adata.obs["time"].min())
        sdo.tl.sta_forward(adata, "cell_type", first, rng=seed, show_progress=False)
        yield {"method": method, "n_cells": n_obs, **_against_truth(adata), "cpu_s": cpu_s}


def _against_truth(adata: AnnData) -> dict[str, Any]:
    times = adata.obs["time"].to_numpy()
    velocity, true = (
        np.asarray(adata.obsm[key], float) for key in ("scdiffot_velocity", "true_velocity")
    )
    growth = np.corrcoef(adata.obs["scdiffot_growth"], adata.obs["true_growth"])[0, 1]
    first = times == times.min()
    fates, true_fates = (adata.obsm[key].loc[first] for key in ("scdiffot_fate", "true_fate"))
    shared = [name for name in true_fates.columns if name in fates.columns]
    error = np.abs(fates[shared].to_numpy() - true_fates[shared].to_numpy())
    row = {
        "velocity": cosine(velocity, true),
        "growth_r": float(growth),
        "fate_error": float(np.nanmean(error)),
    }
    if "scdiffot_migration" not in adata.obsm:
        return row
    from scdiffot.core.spatial.align.pose import procrustes

    positions = np.asarray(adata.obsm["spatial_true"])
    # Rotation from the measured frame of the first slice into the frame of the truth
    aligned = np.asarray(adata.obsm["scdiffot_aligned"])
    rotation = procrustes(positions[first], aligned[first]).rotation
    migration = np.asarray(adata.obsm["scdiffot_migration"], dtype=np.float64) @ rotation.T
    estimate, true = (
        without_rigid_motion(v, positions, times)
        for v in (migration, np.asarray(adata.obsm["true_migration"]))
    )
    angles, true_angles = np.diff(_angles(adata)), np.diff(adata.uns["true"]["angles"])
    return row | {
        "migration": cosine(estimate, true),
        "angle_error": float(np.abs(angles + true_angles).max()),
    }


def _angles(adata: AnnData) -> np.ndarray:
    return sdo.get.alignment(adata).table["angle"].to_numpy()


def cosine(estimate: np.ndarray, true: np.ndarray) -> float:
    """Cosine of two vector fields ``(n, d)`` over all cells; fast cells have more weight."""
    return float((estimate * true).sum() / np.sqrt((estimate**2).sum() * (true**2).sum()))


def without_rigid_motion(
    vectors: np.ndarray, positions: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Velocities ``(n, 2)`` minus the best-fitting translation and rotation of every time."""
    residual = np.empty_like(vectors)
    for t in np.unique(times):
        mask = times == t
        p, v = (a[mask] - a[mask].mean(axis=0) for a in (positions, vectors))
        rotation = np.column_stack([-p[:, 1], p[:, 0]])
        residual[mask] = v - rotation * ((rotation * v).sum() / (rotation**2).sum())
    return residual
