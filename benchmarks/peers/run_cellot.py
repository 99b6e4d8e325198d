"""CellOT: transport from untreated to treated cells, the gradient of a convex network.

The networks are trained by CellOT's own loop.
"""

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
from _job import ResponseJob, Stopwatch, read_response_job
from anndata import AnnData
from ml_collections import ConfigDict

# CellOT imports this name from its place before Python 3.10.
collections.MutableMapping = collections.abc.MutableMapping

import cellot.train.train as loop  # noqa: E402
from cellot.data.cell import split_cell_data  # noqa: E402
from cellot.transport import transport_cellot  # noqa: E402

# As in configs/models/cellot.yaml of CellOT; a fifth of the training cells select the network, as
# in its tasks.
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


class Training:
    """The training loop of CellOT, with predictions saved after some of its iterations."""

    def __init__(self, job: ResponseJob, options: dict, cache: Path) -> None:
        self.job = job
        self.options = options
        self.cache = cache
        self.query = torch.tensor(job.query, dtype=torch.float32)
        self.watch = Stopwatch()
        self.n_iterations = 0
        self.network: torch.nn.Module | None = None

    def install(self, cells: AnnData) -> None:
        """Replace the data, the logger and the counter of CellOT's loop."""
        load = loop.load

        def load_cells(config: ConfigDict, restore: Path) -> tuple:
            networks, optimizers, loader = load(config, restore=restore, data=cells)
            self.network = networks[1]
            return networks, optimizers, loader

        # The logger of CellOT needs PyTables.
        silent = SimpleNamespace(log=lambda *_, **__: None, flush=lambda: None)
        loop.load, loop.Logger, loop.trange = load_cells, lambda _: silent, self.iterations

    def save(self, name: str) -> dict:
        """Save the predictions of the current and of the selected network; return the latter."""
        best = torch.load(self.cache / "model.pt", weights_only=False)
        selected = copy.deepcopy(self.network)
        selected.load_state_dict(best["g_state"])
        for label, network in ((name, self.network), (f"{name}_selected", selected)):
            prediction = transport_cellot((None, network), self.query)
            self.job.save(label, prediction.detach().numpy())
        return best

    def iterations(self, start: int, stop: int, **_: object) -> collections.abc.Iterator[int]:
        """Count the iterations, until the limit of CPU seconds."""
        for step in range(start, stop):
            if self.watch.seconds > self.options["seconds"]:
                return
            yield step
            self.n_iterations = step + 1
            if self.n_iterations in self.options["save_at"]:
                best = self.save(str(self.n_iterations))
                print(
                    f"{self.n_iterations} iterations, {self.watch.seconds:.1f} CPU s, "
                    f"selected {best['step'] + 1}",
                    flush=True,
                )


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
    # Every run has a new folder, because CellOT continues from the files of an earlier run.
    folder = Path(mkdtemp(dir=job.folder))
    cache = folder / "cache"
    cache.mkdir()
    training = Training(job, options, cache)

    cells = AnnData(np.concatenate([job.control, job.treated]).astype(np.float32))
    cells.obs["transport"] = pd.Categorical(
        np.repeat(["source", "target"], [len(job.control), len(job.treated)])
    )
    cells.obs["split"] = split_cell_data(cells, **config.datasplit)
    training.install(cells)
    loop.train_cellot(folder, config)
    best = training.save("last")
    job.answer(
        training.watch.seconds,
        n_iters=training.n_iterations,
        selected_iter=best["step"] + 1,
        selected_mmd=float(best["minmmd"]),
    )


if __name__ == "__main__":
    main()
