"""Reproducible training in one thread, without effects on the global state of torch."""

from __future__ import annotations

import math
from contextlib import contextmanager
from threading import Lock, Thread
from typing import TYPE_CHECKING

import torch
from torch import nn

from scdiffot._utils.rng import torch_seed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

_LOCK = Lock()


def use_one_thread() -> int:
    """Let torch use one thread in the calling thread only; return the previous number.

    `torch.set_num_threads` sets the number of the calling thread, and the default of threads that
    have not used torch yet. A second thread restores this default.
    """
    with _LOCK:
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        restorer = Thread(target=torch.set_num_threads, args=(n_threads,))
        restorer.start()
        restorer.join()
    return n_threads


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread of torch: with more, small networks train no faster, and slower under load."""
    n_threads = use_one_thread()
    try:
        yield
    finally:
        with _LOCK:
            torch.set_num_threads(n_threads)


def torch_generator(rng: np.random.Generator) -> torch.Generator:
    """Make a CPU generator of torch, seeded by a draw from a generator of NumPy."""
    return torch.Generator().manual_seed(torch_seed(rng))


def generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """Return a generator on a device: the same one if it is there, otherwise one of equal seed."""
    if device.type == generator.device.type:
        return generator
    return torch.Generator(device).manual_seed(generator.initial_seed())


def linear(n_in: int, n_out: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """Make a linear layer with the default initialisation of torch, from an explicit generator."""
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias)
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    if bias:
        bound = 1 / math.sqrt(n_in)
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer


def first_generator() -> torch.Generator:
    """Make the generator for initial weights that will be replaced."""
    return torch.Generator().manual_seed(0)
