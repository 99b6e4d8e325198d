"""Batch correction of slices by Harmony, and the mixing of slices that it achieves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._utils.logging import logger
from scdiffot._utils.rng import global_generators
from scdiffot.core.spatial.domains.mixing import mixing
from scdiffot.core.spatial.domains.neighbourhoods import aggregate

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from scdiffot._data.read.slices import TissueSlices

# Share of neighbours from other slices, relative to chance, below which a batch correction has
# failed. Two slices of equal size then have an inverse Simpson index below 1.2 of 2.
MIN_MIXING = 0.3


def score_mixing(
    slices: TissueSlices,
    original_states: np.ndarray,
    features: np.ndarray,
    links: csr_array,
    n_hops: int,
) -> dict[str, float]:
    """Mixing of the slices without and with the correction; warn if the correction fails."""
    means = aggregate(slices.positions, original_states, links, slices.codes, n_hops=n_hops).mean
    scores = {
        "mixing_before": mixing(means, slices.codes),
        "mixing": mixing(features, slices.codes),
    }
    if scores["mixing"] < MIN_MIXING:
        logger.warning(
            "`batch_correction` does not mix the slices: neighbours come from other slices at "
            "%.2f times the rate of chance (%.2f without correction), so domains would follow "
            "slices. Analyse every slice alone, or pass a representation in which the slices mix "
            "as `use_rep`.",
            scores["mixing"],
            scores["mixing_before"],
        )
    return scores


def harmonise(
    harmonypy: Any, states: np.ndarray, codes: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Remove the differences between slices from the states."""
    import pandas as pd

    batch = pd.DataFrame({"slice": codes.astype(str)})
    seed = int(rng.integers(2**31))
    with global_generators():
        harmony = harmonypy.run_harmony(states, batch, "slice", random_state=seed, verbose=False)
    result = np.asarray(harmony.Z_corr, dtype=np.float64)
    # earlier versions of harmonypy return one column per spot
    return result if result.shape == states.shape else result.T
