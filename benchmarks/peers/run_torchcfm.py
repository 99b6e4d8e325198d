"""torchcfm: conditional flow matching with optimal transport (OT-CFM) on several snapshots.

Minibatches are coupled by exact transport in every interval; one network learns a balanced flow.
"""

from __future__ import annotations

import numpy as np
import torch
from _job import Stopwatch, read_job
from torchcfm.conditional_flow_matching import ExactOptimalTransportConditionalFlowMatcher
from torchcfm.models.models import MLP
from torchdiffeq import odeint


def main() -> None:
    job = read_job()
    options = {
        "n_steps": 3000,
        "batch_size": 256,
        "width": 64,
        "learning_rate": 1e-3,
        "sigma": 0.1,
    } | job.options
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    # The minibatch transport of torchcfm draws from numpy's global generator.
    np.random.seed(job.seed)  # noqa: NPY002
    watch = Stopwatch()

    # Unit variance and unit mean interval, as in the examples of torchcfm.
    pooled = np.concatenate(job.states)
    shift, scale = pooled.mean(0), pooled.std(0).mean()
    states = [torch.tensor((x - shift) / scale, dtype=torch.float32) for x in job.states]
    unit = np.diff(job.times).mean()
    times = (job.times - job.times[0]) / unit

    matcher = ExactOptimalTransportConditionalFlowMatcher(sigma=options["sigma"])
    model = MLP(dim=pooled.shape[1], time_varying=True, w=options["width"])
    optimizer = torch.optim.AdamW(model.parameters(), options["learning_rate"])
    for _ in range(options["n_steps"]):
        parts = []
        for k, dt in enumerate(np.diff(times)):
            x0, x1 = (x[torch.randint(len(x), (options["batch_size"],))] for x in states[k : k + 2])
            t, xt, ut = matcher.sample_location_and_conditional_flow(x0, x1)
            parts.append((torch.cat([xt, (times[k] + t * dt).float()[:, None]], 1), ut / dt))
        inputs, targets = (torch.cat(p) for p in zip(*parts, strict=True))
        loss = (model(inputs) - targets).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def velocity(t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return model(torch.cat([x, t.expand(len(x), 1)], 1))

    output_times = (np.array([job.times[job.start], *job.predict]) - job.times[0]) / unit
    with torch.no_grad():
        step = {"step_size": 0.05}
        trajectories = odeint(
            velocity,
            states[job.start],
            torch.tensor(output_times).float(),
            method="midpoint",
            options=step,
        )
    job.answer([x.numpy() * scale + shift for x in trajectories[1:]], None, watch.seconds)


if __name__ == "__main__":
    main()
