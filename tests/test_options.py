"""Wrong numbers, flags and choices are refused by name."""

from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo

CLOUD = np.random.default_rng(0).normal(size=(20, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: sdo.tl.simulate(a, n_particles=2.5), TypeError, "`n_particles` is a float"),
        (lambda a: sdo.tl.simulate(a, n_steps=-1), ValueError, "`n_steps` is -1: pass at least 1"),
        (lambda a: sdo.tl.simulate(a, kind=1), TypeError, "`kind` is a int: pass 'ode' or 'sde'"),
        (lambda a: sdo.tl.simulate(a, weighted="no"), TypeError, "`weighted` is 'no': pass True"),
        (lambda a: sdo.tl.simulate(a, direction="up"), ValueError, "`direction` is 'up'"),
        (
            lambda a: sdo.tl.project(a, "pca", n_neighbors=True),
            TypeError,
            "`n_neighbors` is a bool",
        ),
        (lambda a: sdo.tl.project(a, "pca", copy="yes"), TypeError, "`copy` is 'yes': pass True"),
        (
            lambda a: sdo.metrics.wasserstein(CLOUD, CLOUD, n_max=1.5),
            TypeError,
            "`n_max` is a float",
        ),
        (lambda a: sdo.metrics.wasserstein(CLOUD, CLOUD, p=3), ValueError, "`p` is 3: pass 1 or 2"),
        (lambda a: sdo.metrics.wasserstein(CLOUD, CLOUD, p=True), TypeError, "`p` is a bool"),
        (lambda a: sdo.metrics.mmd(CLOUD, CLOUD, bandwidth="x"), TypeError, "`bandwidth` is a str"),
        (lambda a: sdo.metrics.mmd(CLOUD, CLOUD, bandwidth=0), ValueError, "`bandwidth` is 0"),
        (lambda a: sdo.metrics.noise_floor(CLOUD, n_repeats=0), ValueError, "`n_repeats` is 0"),
        (lambda a: sdo.metrics.mass_error(np.nan, 1), ValueError, "`predicted` is nan"),
        (lambda a: sdo.metrics.mass_error(1, None), TypeError, "`observed` is a NoneType"),
    ],
)
def test_wrong_options_are_named(fitted_adata, fingerprint, call, error, message):
    content = fingerprint(fitted_adata)
    with pytest.raises(error, match=message):
        call(fitted_adata)
    assert fingerprint(fitted_adata) == content


def test_scalars_of_numpy_are_numbers(fitted_adata):
    distance = sdo.metrics.wasserstein(CLOUD, CLOUD + 1, p=np.int64(2), n_max=np.int32(10))
    assert distance == sdo.metrics.wasserstein(CLOUD, CLOUD + 1, p=2, n_max=10)
    assert (
        len(sdo.tl.simulate(fitted_adata, n_particles=np.int16(3), weighted=np.True_).states[0])
        == 3
    )


def test_spots_at_one_position_are_one_group():
    from scdiffot.core.spatial.align.metaspots import metaspots

    spots = metaspots(np.ones((30, 2)), np.arange(30.0)[:, None], 10)
    np.testing.assert_allclose(spots.features, [[14.5]])
