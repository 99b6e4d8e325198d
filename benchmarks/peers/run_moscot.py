"""TemporalProblem of moscot: interpolation between the neighbours of a left-out snapshot."""

from __future__ import annotations

import numpy as np
import pandas as pd
from _job import Stopwatch, read_job
from anndata import AnnData
from moscot.problems.time import TemporalProblem


def main() -> None:
    job = read_job()
    watch = Stopwatch()
    source, target = (float(t) for t in job.times[job.start : job.start + 2])
    pair = job.states[job.start : job.start + 2]
    adata = AnnData(np.concatenate(pair).astype(np.float32))
    adata.obs["time"] = pd.Categorical(np.repeat([source, target], [len(x) for x in pair]))
    adata.obsm["X_state"] = adata.X
    problem = TemporalProblem(adata).prepare("time", joint_attr="X_state").solve(**job.options)

    # These are the points that `compute_interpolated_distance` of moscot compares.
    (time,) = job.predict
    n_cells = len(pair[0]) + len(pair[1])
    points = problem._interpolate_gex_with_ot(
        number_cells=n_cells,
        source_data=pair[0],
        target_data=pair[1],
        source=source,
        target=target,
        interpolation_parameter=(time - source) / (target - source),
        account_for_unbalancedness="tau_a" in job.options,
        seed=job.seed,
    )
    job.answer([np.asarray(points)], None, watch.seconds)


if __name__ == "__main__":
    main()
