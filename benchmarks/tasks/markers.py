"""The second half of part I: do markers of the epithelial-mesenchymal transition change the way the literature says?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import scdiffot as sdo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row

# Which way a marker goes from epithelial to mesenchymal cells. ITGB4 is silenced in most TGF-beta models of a complete transition, but
# high in cells that stop half way.
MARKERS = {"CDH1": -1, "KRT8": -1, "ITGB4": -1, "VIM": 1, "CD44": 1, "SNAI2": 1, "Twist": 1}
# The transcription factors behind it, all of which repress E-cadherin and, by many steps, raise vimentin
FACTORS = ("SNAIL", "SNAI2", "Twist")
REGULATION = {
    (factor, target): sign for factor in FACTORS for target, sign in (("CDH1", -1), ("VIM", 1))
}
START, END = "E", "M"


def run(settings: Settings) -> Iterator[Row]:
    """One row for every seed: changes of markers along the trajectories, and signs of regulations."""
    treated = sdo.datasets.emt(show_progress=False)
    treated = treated[treated.obs["treated"]].copy()
    for seed in range(settings.n_seeds):
        # Numbers of cells carry no biology here. With growth, epithelial cells could die out instead of changing.
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
        found = treated.uns["scdiffot"]["trajectory_genes"]
        if END not in found["fates"]:
            raise RuntimeError(
                f"The fit leads epithelial cells to {found['fates']} only, not to {END!r}."
            )
        table = found["ranking"].set_index(["fate", "gene"]).loc[END]
        sdo.tl.regulation(treated, rng=seed, show_progress=False)
        regulation = treated.uns["scdiffot"]["regulation"]
        at = {gene: i for i, gene in enumerate(regulation["genes"])}
        edges = [(at[target], at[regulator]) for regulator, target in REGULATION]
        yield {
            "task": "markers",
            "method": "scdiffot",
            "seed": seed,
            "share": float(found["share"][list(found["fates"]).index(END)]),
            "markers": list(MARKERS),
            "change": table.loc[list(MARKERS), "change"].tolist(),
            "change_se": table.loc[list(MARKERS), "change_se"].tolist(),
            "observed": _observed(treated),
            "edges": [list(pair) for pair in REGULATION],
            "weight": [float(regulation["mean"][0][edge]) for edge in edges],
            "stability": [float(regulation["stability"][0][edge]) for edge in edges],
        }


def _observed(treated: AnnData) -> list[float]:
    """Mean of mesenchymal cells at the end of treatment less that of epithelial ones before it."""
    time, types = treated.obs["time"], treated.obs["cell_type"]
    ends = [(time == time.min()) & (types == START), (time == time.max()) & (types == END)]
    before, after = (treated.obsm["X_pca"][cells.to_numpy()].mean(axis=0) for cells in ends)
    change = np.asarray(treated.varm["PCs"]) @ (after - before)
    return [float(change[treated.var_names.get_loc(marker)]) for marker in MARKERS]
