"""CellOT: the transport from untreated to treated cells as the gradient of a convex network, by its own training loop."""

from __future__ import annotations

import collections
import collections.abc
import copy
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from _job import Stopwatch, read_response_job
from anndata import AnnData
from ml_collections import ConfigDict

# It takes this name from where Python had it before 3.10.
collections.MutableMapping = collections.abc.MutableMapping

import cellot.train.train as loop  # noqa: E402
from cellot.data.cell import split_cell_data  # noqa: E402
from cellot.transport import transport_cellot  # noqa: E402

# As in its configs/models/cellot.yaml; a fifth of the training cells choose the state, as in its tasks.
PUBLISHED = {
    "data": {"condition": "transport"},
    "datasplit": {
        "name": "train_test",
        "groupby": "transport",
        "test_size": 0.2,
        "random_state": 0,
    },
    "dataloader": {"batch_size": 256, "shuffle": True},
    "model": {
        "name": "cellot",
        "hidden_units": [64, 64, 64, 64],
        "latent_dim": 50,
        "softplus_W_kernels": False,
        "g": {"fnorm_penalty": 1},
        "kernel_init_fxn": {"b": 0.1, "name": "uniform"},
    },
    "optim": {"optimizer": "Adam", "lr": 1e-4, "beta1": 0.5, "beta2": 0.9, "weight_decay": 0},
    "training": {
        "n_iters": 100_000,
        "n_inner_iters": 10,
        "cache_freq": 1000,
        "eval_freq": 250,
        "logs_freq": 50,
    },
}


def main() -> None:
    job = read_response_job()
    # The limit is in CPU seconds; predictions are also saved after the iterations of `save_at`.
    options = {
        "n_iters": 100_000,
        "batch_size": 256,
        "seconds": np.inf,
        "save_at": [],
    } | job.options
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    config = ConfigDict(PUBLISHED)
    config.training.n_iters = options["n_iters"]
    config.dataloader.batch_size = options["batch_size"]
    config.datasplit.random_state = job.seed
    watch = Stopwatch()

    cells = AnnData(np.concatenate([job.control, job.treated]).astype(np.float32))
    cells.obs["transport"] = pd.Categorical(
        np.repeat(["source", "target"], [len(job.control), len(job.treated)])
    )
    cells.obs["split"] = split_cell_data(cells, **config.datasplit)
    query = torch.tensor(job.query, dtype=torch.float32)
    # A new folder each time: it would go on from what an earlier run left.
    folder = Path(mkdtemp(dir=job.folder))
    cache = folder / "cache"
    cache.mkdir()
    load = loop.load
    n_done = 0
    g = None

    def load_cells(config: ConfigDict, restore: Path) -> tuple:
        nonlocal g
        networks, optimizers, loader = load(config, restore=restore, data=cells)
        g = networks[1]
        return networks, optimizers, loader

    def save(name: str) -> dict:
        """Save what the present state predicts, and the state that its rule would keep; return that state."""
        best = torch.load(cache / "model.pt", weights_only=False)
        kept = copy.deepcopy(g)
        kept.load_state_dict(best["g_state"])
        for label, network in ((name, g), (f"{name}_selected", kept)):
            job.save(label, transport_cellot((None, network), query).detach().numpy())
        return best

    def steps(start: int, stop: int, **_: object) -> collections.abc.Iterator[int]:
        """Count its iterations, until the time is used up."""
        nonlocal n_done
        for step in range(start, stop):
            if watch.seconds > options["seconds"]:
                return
            yield step
            n_done = step + 1
            if n_done in options["save_at"]:
                best = save(str(n_done))
                print(
                    f"{n_done} iterations, {watch.seconds:.1f} CPU s, kept {best['step'] + 1}",
                    flush=True,
                )

    # Its logger needs PyTables.
    silent = SimpleNamespace(log=lambda *_, **__: None, flush=lambda: None)
    loop.load, loop.Logger, loop.trange = load_cells, lambda _: silent, steps
    loop.train_cellot(folder, config)
    best = save("last")
    job.answer(
        watch.seconds,
        n_iters=n_done,
        selected_iter=best["step"] + 1,
        selected_mmd=float(best["minmmd"]),
    )


if __name__ == "__main__":
    main()
