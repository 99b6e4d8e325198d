"""Settings of fits as `config`, and the arguments that moved there."""

from __future__ import annotations

import json

import numpy as np
import pytest

import scdiffot as sdo
from scdiffot.core import FitConfig
from scdiffot.core.problem.config.arguments import read_config
from scdiffot.core.response import ResponseConfig

FLAT = {"n_steps": 6, "n_corrections": 0, "batch_size": 32, "n_landmarks": 50}
NESTED = {
    "train": {"n_steps": 6, "batch_size": 32},
    "corrections": {"n_rounds": 0},
    "coupling": {"n_landmarks": 50},
}


def test_arguments_that_moved_warn_once_and_give_the_same_fit(time_course):
    options = {"sigma": 0.3, "show_progress": False, "copy": True}
    with pytest.warns(FutureWarning, match=r"n_steps is config\.train\.n_steps") as record:
        flat = sdo.tl.fit(time_course, "time", **options, **FLAT)
    assert len(record) == 1
    assert record[0].filename == __file__
    nested, config = (
        sdo.tl.fit(time_course, "time", **options, config=config)
        for config in (NESTED, FitConfig(**NESTED))
    )
    for other in (nested, config):
        np.testing.assert_array_equal(
            other.obsm["scdiffot_velocity"], flat.obsm["scdiffot_velocity"]
        )


def test_moved_arguments_of_responses_warn_once(treated):
    options = {"metric": "euclidean", "show_progress": False}
    for function in (sdo.tl.fit_response, sdo.tl.evaluate_response):
        with pytest.warns(FutureWarning, match=r"smoothing is config\.scale\.smoothing") as record:
            function(treated, "condition", "control", "drug", **options, n_steps=5, smoothing=1.0)
        assert len(record) == 1
    stored = json.loads(treated.uns["scdiffot_response"]["model"]["config"])
    assert stored["scale"]["smoothing"] == 1.0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_step": 3}, TypeError, r"`n_step` is not an argument of tl\.fit"),
        ({"smoothing": 3}, TypeError, r"`smoothing` is not an argument of tl\.fit"),
        ({"config": 3}, TypeError, "`config` is a int: pass a dict or a FitConfig"),
        ({"config": ResponseConfig()}, TypeError, "`config` is a ResponseConfig"),
        ({"config": {"n_steps": 3}}, TypeError, "`n_steps` is not a setting: pass one of growth"),
        ({"config": {"train": {"steps": 3}}}, TypeError, r"`train\.steps` is not a setting"),
        ({"config": {"train": 3}}, TypeError, "`train` is a int: pass a dict of settings"),
        ({"config": {"sigma": 0.2}, "sigma": 0.3}, ValueError, "`sigma` is 0.3, and 0.2 in"),
    ],
)
def test_wrong_settings_are_one_clear_error(time_course, fingerprint, options, error, message):
    original = fingerprint(time_course)
    with pytest.raises(error, match=message):
        sdo.tl.fit(time_course, "time", **options)
    assert fingerprint(time_course) == original


def test_arguments_and_config_are_combined():
    config = read_config(
        FitConfig,
        FitConfig(sigma=0.2, train={"batch_size": 64}),
        arguments={"sigma": "auto", "growth": False},
        old_arguments={"n_steps": None},
        function="tl.fit",
    )
    assert config == FitConfig(growth=False, sigma=0.2, train={"batch_size": 64})


def test_a_fit_stores_its_resolved_settings(fitted_adata):
    stored = json.loads(fitted_adata.uns["scdiffot"]["state"]["config"])
    assert stored["version"] == 2
    assert stored["form"] == "gradient"
    assert stored["networks"]["n_hidden"] == 64
    assert stored["corrections"] == {
        **stored["corrections"],
        "n_rounds": 0,
        "n_steps": 100,
        "relative_rate": 0.1,
    }
    assert stored["matching"]["n_steps"] == 0
    config = sdo.get.model(fitted_adata).config
    second = sdo.tl.fit(fitted_adata, "time", config=config, show_progress=False, copy=True)
    np.testing.assert_array_equal(
        second.obsm["scdiffot_velocity"], fitted_adata.obsm["scdiffot_velocity"]
    )


def test_settings_of_a_newer_version_are_refused(fitted_adata):
    config = json.loads(fitted_adata.uns["scdiffot"]["state"]["config"])
    with pytest.raises(ValueError, match="is of version 3, and this scdiffot reads versions up to"):
        FitConfig.from_stored({**config, "version": 3})
