"""CytoBridge, configuration CRUFM: unbalanced flow matching of velocity, growth and score."""

from __future__ import annotations

import random

import CytoBridge
import numpy as np
import torch
from _job import Stopwatch, read_job
from anndata import AnnData
from CytoBridge.tl.methods import ODEFunc
from CytoBridge.utils.utils import load_model_from_adata
from torchdiffeq import odeint


def config(n_epochs: int, folder: str) -> dict:
    """Configuration "crufm" of CytoBridge, from its repository at commit 25ba91f.

    The package on PyPI lacks this configuration.
    """
    net = {"hidden_dim": 256, "n_layers": 5, "residual": False}
    stage = {
        "name": "Train_FM",
        "mode": "flow_matching",
        "lr": 0.005,
        "epochs": n_epochs,
        "sigma": 0.05,
        "train_strategy": "v+g+s",
        "batch_size": 400,
        "scheduler_type": "cosine",
        # 1,000 is the default of the package; a shorter run anneals over its own length.
        "cosine_epochs": min(n_epochs, 1000),
        "save_strategy": "best",
        "flow_matching": {"lambda_penalty": 1},
    }
    defaults = {
        "lr": 1e-4,
        "lambda_ot": 1.0,
        "lambda_mass": 0.1,
        "lambda_energy": 0.01,
        "sigma": 0.05,
    }
    return {
        "model": {
            "components": ["velocity", "growth", "score"],
            "velocity_net": net,
            "growth_net": net,
            "score_net": {"hidden_dim": 256, "n_layers": 4},
        },
        "ckpt_dir": folder,
        "training": {"defaults": defaults | {"batch_size": 400}, "plan": [stage]},
    }


def main() -> None:
    job = read_job()
    n_epochs = job.options.get("n_epochs", 3000)
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    np.random.seed(job.seed)  # noqa: NPY002
    random.seed(job.seed)
    adata = AnnData(np.concatenate(job.states).astype(np.float32))
    adata.obs["time_point_processed"] = np.repeat(job.times, [len(x) for x in job.states])
    adata.obsm["X_latent"] = np.asarray(adata.X)
    # The evaluation after training is not part of the fit.
    CytoBridge.tl.trainer.TrainingPipeline.evaluate = lambda *_: None
    watch = Stopwatch()
    CytoBridge.tl.fit(adata, config(n_epochs, str(job.folder / "checkpoints")), device="cpu")

    model = load_model_from_adata(adata)
    rates = ODEFunc(model, use_mass=True)
    x = torch.tensor(job.states[job.start], dtype=torch.float32)
    zero = torch.zeros(len(x), 1)
    times = torch.tensor([job.times[job.start], *job.predict], dtype=torch.float32)
    # The ordinary differential equation of CytoBridge includes the gradient of the score, so
    # gradients stay on.
    states, log_weights, _ = odeint(
        rates, (x, zero, zero), times, method="midpoint", options={"step_size": 0.05}
    )
    weights = [w.detach().exp().squeeze(1).numpy() for w in log_weights[1:]]
    job.answer([y.detach().numpy() for y in states[1:]], weights, watch.seconds)


if __name__ == "__main__":
    main()
