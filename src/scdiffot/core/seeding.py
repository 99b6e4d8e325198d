"""Training that is fast and can be repeated."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from scdiffot._rng import torch_seed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np


@contextmanager
def seeded_thread(rng: np.random.Generator) -> Iterator[None]:
    """Seed torch, and use one thread of it: with more, small networks train no faster, and several times slower under load."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(rng))
            yield
    finally:
        torch.set_num_threads(n_threads)
