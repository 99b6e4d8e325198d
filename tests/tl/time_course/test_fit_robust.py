"""Options and states that a fit refuses, and training that diverges."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import scdiffot as sdo
from scdiffot._utils.errors import DivergenceError
from scdiffot.core.ot.coupling import sinkhorn

SCALARS = {
    "sigma": np.float32(0.5),
    "alpha": np.float64(2.0),
    "growth": np.bool_(True),
    "autonomous": np.bool_(False),
    "config": {
        "train": {"learning_rate": np.float16(0.0078125), "n_steps": np.uint16(20)},
        "networks": {"n_layers": np.int8(2)},
    },
}


def _plain(options: dict) -> dict:
    """The same options as plain Python numbers."""
    return {
        name: _plain(value) if isinstance(value, dict) else value.item()
        for name, value in options.items()
    }


def test_scalars_of_numpy_are_numbers(time_course, quick):
    plain = _plain(SCALARS)
    first, other = (
        sdo.tl.fit(time_course, "time", **quick | options, copy=True)
        for options in (SCALARS, plain)
    )
    np.testing.assert_array_equal(first.obsm["scdiffot_velocity"], other.obsm["scdiffot_velocity"])
    assert first.uns["scdiffot"]["state"]["config"] == other.uns["scdiffot"]["state"]["config"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"config": {"train": {"learning_rate": 0}}},
            ValueError,
            "`train.learning_rate` is 0: pass a number above 0, and at most 1",
        ),
        ({"config": {"train": {"learning_rate": -1}}}, ValueError, "`train.learning_rate` is -1"),
        (
            {"config": {"train": {"learning_rate": 1e4}}},
            ValueError,
            "`train.learning_rate` is 10000",
        ),
        (
            {"config": {"train": {"learning_rate": np.nan}}},
            ValueError,
            "`train.learning_rate` is nan",
        ),
        (
            {"config": {"train": {"learning_rate": True}}},
            TypeError,
            "`train.learning_rate` is a bool",
        ),
        ({"sigma": np.ones(1)}, TypeError, "`sigma` is a ndarray"),
        ({"sigma": False}, TypeError, "`sigma` is a bool"),
        ({"sigma": np.inf}, ValueError, "`sigma` is inf"),
        ({"sigma": 1e6}, ValueError, r"`sigma` is 1e\+06, out of proportion"),
        ({"alpha": 1e30}, ValueError, r"`alpha` is 1e\+30, out of proportion.*growth=False"),
        ({"alpha": [1.0]}, TypeError, "`alpha` is a list"),
        ({"growth": "yes"}, TypeError, "`growth` is 'yes': pass True or False"),
        ({"autonomous": 1}, TypeError, "`autonomous` is 1: pass True or False"),
        ({"form": 1}, TypeError, "`form` is a int: pass 'auto', 'gradient' or 'separate'"),
        (
            {"config": {"train": {"n_steps": 10.0}}},
            TypeError,
            "`train.n_steps` is a float: pass a whole number",
        ),
        (
            {"config": {"networks": {"n_layers": 10**9}}},
            ValueError,
            "`networks.n_layers` is 1000000000: pass at most 32",
        ),
        (
            {"config": {"networks": {"n_hidden": 10**6}}},
            ValueError,
            "`networks.n_hidden` is 1000000: pass at most",
        ),
        ({"config": {"train": {"batch_size": True}}}, TypeError, "`train.batch_size` is a bool"),
        (
            {"config": {"coupling": {"n_landmarks": 10**7}}},
            ValueError,
            "`coupling.n_landmarks` is 10000000: pass at most",
        ),
        ({"device": "gpu"}, ValueError, "`device` is 'gpu'"),
        ({"device": "cuda:7"}, ValueError, "`device` is 'cuda:7', but torch sees"),
        ({"device": "mps"}, ValueError, "`device` is 'mps', on which nothing can be trained"),
        ({"device": torch.device("meta")}, ValueError, "`device` is 'meta'"),
        ({"device": 0}, TypeError, "`device` is a int"),
        ({"mass": {0: 1e-300, 1: 1, 2: 1e300}}, ValueError, "`mass` ranges from 1e-300 to 1e"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_at_once(
    time_course, quick, fingerprint, options, error, message
):
    original = fingerprint(time_course)
    with pytest.raises(error, match=message):
        sdo.tl.fit(time_course, "time", **quick | options)
    assert fingerprint(time_course) == original


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "mps", torch.device("meta")], ids=str)
def test_all_functions_with_a_device_refuse_others(device, treated, fingerprint):
    original = fingerprint(treated)
    calls = [
        lambda: sdo.tl.fit_response(treated, "condition", "control", "drug", device=device),
        lambda: sdo.tl.evaluate_response(
            treated, "condition", "control", target="drug", device=device
        ),
        lambda: sdo.pp.autoencoder(treated, 2, device=device),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="`device` is"):
            call()
    assert fingerprint(treated) == original


def test_device_of_torch_is_the_same(time_course, quick):
    first, other = (
        sdo.tl.fit(time_course, "time", **quick, device=device, copy=True).obsm["scdiffot_velocity"]
        for device in ("cpu", torch.device("cpu", 0))
    )
    np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("options", [{"eps": np.nan}, {"eps": 0.0}, {"far": np.inf}], ids=str)
def test_sinkhorn_ends_without_finite_numbers(options):
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    y, w = x + options.get("far", 1.0), torch.full((5,), 0.2)
    with pytest.raises(DivergenceError, match="infinite or NaN"):
        sinkhorn(x, w, y, w, alpha=None, eps=options.get("eps", 0.1))


def test_states_beyond_single_precision_are_refused(time_course, quick, fingerprint):
    time_course.obsm["X_pca"][3, 1] = 1e160
    original = fingerprint(time_course)
    with pytest.raises(ValueError, match=f"values up to 1e\\+160.*{time_course.obs_names[3]}"):
        sdo.tl.fit(time_course, "time", **quick)
    assert fingerprint(time_course) == original


@pytest.mark.parametrize("spoil", [np.nan, 1e30])
def test_diverged_training_is_an_error(time_course, quick, fingerprint, monkeypatch, spoil):
    """Networks are spoilt in the middle of the training, as by a far too large step."""
    from scdiffot.core.nets.optimizer import Soap

    step = Soap.step

    def leap(self, rate):
        step(self, rate)
        if self._n_steps == 10:
            self._vector.data.add_(spoil)

    monkeypatch.setattr(Soap, "step", leap)
    original = fingerprint(time_course)
    with pytest.raises(DivergenceError, match=r"Training diverged.*Nothing was written"):
        sdo.tl.fit(time_course, "time", **quick)
    assert fingerprint(time_course) == original


def test_diverged_response_is_an_error(treated, fingerprint, monkeypatch):
    from scdiffot.core.nets.optimizer import Soap

    monkeypatch.setattr(Soap, "step", lambda self, rate: self._vector.data.fill_(np.nan))
    original = fingerprint(treated)
    with pytest.raises(DivergenceError, match="Training diverged"):
        sdo.tl.fit_response(
            treated,
            "condition",
            "control",
            "drug",
            config={"train": {"n_steps": 5}},
            show_progress=False,
        )
    assert fingerprint(treated) == original
