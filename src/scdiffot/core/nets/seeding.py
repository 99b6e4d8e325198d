"""Training that can be repeated, in any number of threads at a time, and leaves the process as it was."""

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
    """Let torch use one thread in the calling thread alone; returns the number it used before.

    `torch.set_num_threads` sets the number of the calling thread, and the number with which threads
    start that have not used torch yet: another thread sets that one back.
    """
    with _LOCK:
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        keeper = Thread(target=torch.set_num_threads, args=(n_threads,))
        keeper.start()
        keeper.join()
    return n_threads


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread of torch: small networks train no faster with more, and slower under load."""
    n_threads = use_one_thread()
    try:
        yield
    finally:
        with _LOCK:
            torch.set_num_threads(n_threads)


def torch_generator(rng: np.random.Generator) -> torch.Generator:
    """Make a generator of torch, on the processor, from one of NumPy, whose state moves on."""
    return torch.Generator().manual_seed(torch_seed(rng))


def generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """Return the generator itself on its own device, or one of the same seed on another."""
    if device.type == generator.device.type:
        return generator
    return torch.Generator(device).manual_seed(generator.initial_seed())


def linear(n_in: int, n_out: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """Make a linear layer with the initial weights of torch, from a generator, not the global one."""
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias)
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    if bias:
        bound = 1 / math.sqrt(n_in)
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer


def first_generator() -> torch.Generator:
    """Make the generator of networks whose weights will be replaced."""
    return torch.Generator().manual_seed(0)
