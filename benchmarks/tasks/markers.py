"""Part I: markers of the epithelial-mesenchymal transition, compared with the literature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import scdiffot as sdo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row

# Sign of the change of a marker from epithelial to mesenchymal cells. ITGB4 is silenced in most
# TGF-beta models of a complete transition, but high in cells that stop half way.
MARKERS = {"CDH1": -1, "KRT8": -1, "ITGB4": -1, "VIM": 1, "CD44": 1, "SNAI2": 1, "Twist": 1}
# Transcription factors of the transition. All repress E-cadherin and indirectly raise vimentin.
FACTORS = ("SNAIL", "SNAI2", "Twist")
REGULATION = {
    (factor, target): sign for factor in FACTORS for target, sign in (("CDH1", -1), ("VIM", 1))
}
START, END = "E", "M"


def run(settings: Settings) -> Iterator[Row]:
    """One row for every seed: changes of markers along trajectories, and signs of regulations."""
    treated = sdo.datasets.emt(show_progress=False)
    treated = treated[treated.obs["treated"]].copy()
    for seed in range(settings.n_seeds):
        # The numbers of cells were set by the protocol. With growth, the fit could let epithelial
        # cells die out instead of change.
        sdo.tl.fit(
            treated,
            "time",
            mass=None,
            growth=False,
            rng=seed,
            device="cpu",
            show_progress=False,
            **settings.fit,
        )
        source = f"time == 0 and cell_type == '{START}'"
        sdo.tl.trajectory_genes(
            treated, "cell_type", source, n_cells=500, rng=seed, show_progress=False
        )
        trends = treated.uns["scdiffot"]["trajectory_genes"]
        if END not in trends["fates"]:
            raise RuntimeError(
                f"The fit leads epithelial cells to {trends['fates']} only, not to {END!r}."
            )
        table = trends["ranking"].set_index(["fate", "gene"]).loc[END]
        sdo.tl.regulation(treated, rng=seed, show_progress=False)
        regulation = treated.uns["scdiffot"]["regulation"]
        index = {gene: i for i, gene in enumerate(regulation["genes"])}
        edges = [(index[target], index[regulator]) for regulator, target in REGULATION]
        yield {
            "task": "markers",
            "method": "scdiffot",
            "seed": seed,
            "share": float(trends["share"][list(trends["fates"]).index(END)]),
            "markers": list(MARKERS),
            "change": table.loc[list(MARKERS), "change"].tolist(),
            "change_se": table.loc[list(MARKERS), "change_se"].tolist(),
            "observed": _observed(treated),
            "edges": [list(pair) for pair in REGULATION],
            "weight": [float(regulation["mean"][0][edge]) for edge in edges],
            "stability": [float(regulation["stability"][0][edge]) for edge in edges],
        }


def _observed(treated: AnnData) -> list[float]:
    """Mean of mesenchymal cells at the last time minus that of epithelial cells at the first."""
    time, types = treated.obs["time"], treated.obs["cell_type"]
    ends = [(time == time.min()) & (types == START), (time == time.max()) & (types == END)]
    start, end = (treated.obsm["X_pca"][cells.to_numpy()].mean(axis=0) for cells in ends)
    change = np.asarray(treated.varm["PCs"]) @ (end - start)
    return [float(change[treated.var_names.get_loc(marker)]) for marker in MARKERS]
