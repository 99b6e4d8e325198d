"""Random numbers: one `rng` argument everywhere, an integer or a NumPy generator."""

from __future__ import annotations

import random
from contextlib import contextmanager
from numbers import Integral
from threading import RLock
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = RLock()


def as_generator(rng: int | np.random.Generator | None) -> np.random.Generator:
    """Make a generator from the `rng` argument of a public function.

    Parameters
    ----------
    rng
        A seed, a generator (which is used directly, so that its state advances), or None for fresh
        entropy.

    Returns
    -------
    A NumPy generator.

    Raises
    ------
    TypeError
        If `rng` is something else, such as a legacy `RandomState`.
    ValueError
        If the seed is negative.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng()
    if isinstance(rng, bool | np.bool_) or not isinstance(rng, Integral):
        raise TypeError(
            f"`rng` is a {type(rng).__name__}: pass an int, a numpy.random.Generator "
            "(numpy.random.default_rng(0)) or None."
        )
    if rng < 0:
        raise ValueError(f"`rng` is {rng}: pass a seed that is zero or positive.")
    return np.random.default_rng(int(rng))


def rng_name(rng: int | np.random.Generator | None) -> int | str:
    """Value of the `rng` argument to store among the parameters of a run: the seed, or its type."""
    if isinstance(rng, Integral):
        return int(rng)
    return "None" if rng is None else "Generator"


def torch_seed(rng: np.random.Generator) -> int:
    """Draw a seed for `torch.Generator.manual_seed` from a generator, whose state advances."""
    return int(rng.integers(2**63))


@contextmanager
def global_generators() -> Iterator[None]:
    """Restore the global generators of NumPy and Python after code that seeds them.

    A lock admits one thread at a time.
    """
    with _LOCK:
        states = np.random.get_state(), random.getstate()  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(states[0])  # noqa: NPY002
            random.setstate(states[1])
