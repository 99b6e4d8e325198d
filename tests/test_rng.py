from __future__ import annotations

import numpy as np
import pytest

from scdiffot._utils.rng import as_generator, rng_name, torch_seed


def test_equal_seeds_give_equal_streams():
    assert as_generator(3).random(4).tolist() == np.random.default_rng(3).random(4).tolist()
    assert as_generator(np.int64(3)).random(4).tolist() == as_generator(3).random(4).tolist()


def test_generator_is_passed_through_and_advances():
    rng = np.random.default_rng(0)
    assert as_generator(rng) is rng
    assert as_generator(rng).random() != as_generator(rng).random()


def test_every_generator_has_a_name_to_store():
    assert [rng_name(rng) for rng in (3, np.int64(3), None, np.random.default_rng(0))] == [
        3,
        3,
        "None",
        "Generator",
    ]


def test_none_gives_a_new_seed_every_time():
    assert as_generator(None).random() != as_generator(None).random()


@pytest.mark.parametrize("rng", [1.5, "0", True, np.random.RandomState(0), [0]])
def test_other_types_are_refused(rng):
    with pytest.raises(TypeError, match=r"`rng` is a .*default_rng"):
        as_generator(rng)


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match=r"`rng` is -1: .*positive"):
        as_generator(-1)


def test_torch_seeds_differ_and_fit():
    import torch

    rng = as_generator(0)
    seeds = [torch_seed(rng) for _ in range(100)]
    assert len(set(seeds)) == 100
    assert seeds[0] == torch_seed(as_generator(0))
    assert {torch.Generator().manual_seed(s).initial_seed() for s in seeds} == set(seeds)
