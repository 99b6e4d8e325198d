"""Reading a changed entry is right or raises one class of errors, and allocates little."""

from __future__ import annotations

import itertools
import json
import resource
import sys
from pathlib import Path

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import scdiffot as sdo
from scdiffot._utils.errors import StoredFitError
from scdiffot.core.genes.autoencoder import Autoencoder
from scdiffot.core.nets.fields import Fields
from scdiffot.core.response.convex import ConvexMaps

sys.path.append(str(Path(__file__).parents[2]))
from _tampered import changed, changes

# Bytes.
MEMORY_MARGIN = 400 * 2**20


@pytest.fixture
def little_memory():
    """Let this process allocate 400 MB more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_MARGIN, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _model(adata):
    return sdo.get.model(adata).drift(adata.obsm["X_pca"][:5], 0.5)


def _simulation(adata):
    return sdo.tl.simulate(adata, n_particles=3, t1=1.0, n_steps=2).states


def _prediction(adata):
    sdo.tl.predict_response(adata)
    return adata.obsm["scdiffot_predicted"]


def _gene_velocity(adata):
    sdo.tl.gene_velocity(adata)
    return adata.layers["scdiffot_velocity"]


def _alignment(adata):
    alignment = sdo.get.alignment(adata)
    points = np.arange(6.0).reshape(3, 2)
    return np.stack([alignment.apply(points, name) for name in alignment.table["slice"]])


def _survey(adata, name, read, *, every=1):
    """Count outcomes of reading every change of an entry, and compare successful results."""
    expected, entry = read(adata), adata.uns[name]
    outcomes = {"right": 0, "refused": 0}
    for path, value in itertools.islice(changes(entry), None, None, every):
        adata.uns[name] = changed(entry, path, value)
        try:
            result = read(adata)
        except StoredFitError as error:
            outcomes["refused"] += name in str(error)
            continue
        np.testing.assert_array_equal(result, expected, err_msg=f"{path} {value!r}"[:300])
        outcomes["right"] += 1
    adata.uns[name] = entry
    return outcomes


@pytest.fixture
def tissue():
    """Two slices of the same wave, one of them rotated and shifted."""
    p = np.random.default_rng(0).uniform(size=(150, 2)) * [3, 2]
    wave = np.c_[np.sin(p), p[:, 0] ** 2]
    rotated = p @ [[0.8, 0.6], [-0.6, 0.8]] + [5, 1]
    adata = ad.AnnData(np.r_[wave, wave], obsm={"spatial": np.r_[p, rotated]})
    adata.obs["slice"] = ["a"] * 150 + ["b"] * 150
    sdo.tl.align_slices(adata, "slice", use_rep="X", show_progress=False)
    return adata


@pytest.fixture
def response_adata():
    adata = sdo.datasets.perturbation_response(200, n_dims=3)
    options = {
        "config": {"train": {"n_steps": 5}, "networks": {"n_hidden": 8}},
        "show_progress": False,
    }
    sdo.tl.fit_response(
        adata, "condition", "control", "drug", unbalanced=True, mass=None, **options
    )
    return adata


@pytest.fixture
def autoencoder_adata(time_course, quick):
    sdo.pp.autoencoder(time_course, 2, n_hidden=4, max_epochs=2, show_progress=False)
    sdo.tl.fit(time_course, "time", use_rep="X_ae", **quick)
    return time_course


@pytest.mark.usefixtures("little_memory")
def test_some_changes_of_a_fit_are_refused(fitted_adata, fingerprint):
    digest = fingerprint(fitted_adata)
    outcomes = _survey(fitted_adata, "scdiffot", _model, every=7)
    assert fingerprint(fitted_adata) == digest
    assert outcomes["refused"] > 250
    assert outcomes["right"] > 5


@pytest.mark.slow
@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("read", [_model, _simulation])
def test_all_changes_of_a_fit_are_refused(fitted_adata, read):
    outcomes = _survey(fitted_adata, "scdiffot", read)
    assert outcomes["refused"] > 1000


@pytest.mark.usefixtures("little_memory")
def test_changes_of_a_response_are_refused(response_adata):
    outcomes = _survey(response_adata, "scdiffot_response", _prediction, every=11)
    assert outcomes["refused"] > 50


@pytest.mark.usefixtures("little_memory")
def test_changes_of_an_autoencoder_are_refused(autoencoder_adata):
    outcomes = _survey(autoencoder_adata, "X_ae", _gene_velocity, every=7)
    assert outcomes["refused"] > 30


@pytest.mark.usefixtures("little_memory")
def test_changes_of_an_alignment_are_refused(tissue):
    outcomes = _survey(tissue, "scdiffot_slices", _alignment, every=3)
    assert outcomes["refused"] > 50


def test_files_may_return_a_number_for_an_array_without_dimensions(autoencoder_adata):
    expected = _gene_velocity(autoencoder_adata)
    entry = autoencoder_adata.uns["X_ae"]
    spread = float(entry["decoder"]["weights"]["spread"])
    autoencoder_adata.uns["X_ae"] = changed(entry, ("decoder", "weights", "spread"), spread)
    np.testing.assert_array_equal(_gene_velocity(autoencoder_adata), expected)


def _unsealed(adata, name):
    adata.uns[name] = {k: v for k, v in adata.uns[name].items() if k not in ("version", "digest")}
    return adata


@pytest.mark.parametrize("read", [_model, _simulation])
def test_entries_without_a_version_are_read(fitted_adata, read):
    expected = read(fitted_adata)
    np.testing.assert_array_equal(read(_unsealed(fitted_adata, "scdiffot")), expected)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("state", "times"), np.array([0.0, 2.0, 1.0]), "does not increase"),
        (("state", "times"), np.array([0.0, np.nan, 1.0]), "holds NaN"),
        (("state", "masses"), np.array([1.0, -1.0, 1.0]), "holds values that are not between"),
        (("state", "n_hidden"), np.array([10**9]), "holds values that are not between"),
        (("state", "shift"), np.zeros((3, 3)), "has 2 dimensions, not 1"),
        (("state", "weights", "walls"), np.full((2, 3), np.nan), "holds NaN"),
        (("state", "weights", "log_norm"), np.full((2, 17), 1e300), "holds infinite values"),
        (("state", "config"), "[" * 100_000, "is nested too deeply"),
        (("state", "config"), "{}", "has other options than this version"),
        (("state",), {"config": "{}"}, "is missing"),
        (("params", "n_dims"), True, "is a bool, not a whole number"),
        (("params", "n_dims"), 2, "and the model has 3 dimensions"),
        (("params", "times"), np.array([0.0, 1.0, 3.0]), "are not those of the model"),
        (("version",), 3, "install a newer scdiffot"),
    ],
)
def test_entries_without_a_digest_are_checked_too(fitted_adata, path, value, problem):
    _unsealed(fitted_adata, "scdiffot")
    fitted_adata.uns["scdiffot"] = changed(
        fitted_adata.uns["scdiffot"] | {"version": 1}, path, value
    )
    with pytest.raises(StoredFitError, match=problem) as error:
        sdo.get.model(fitted_adata)
    assert all(part in str(error.value) for part in ("adata.uns['scdiffot']", path[0]))


def test_a_billion_layers_allocate_nothing(fitted_adata, little_memory):
    _unsealed(fitted_adata, "scdiffot")
    config = json.loads(fitted_adata.uns["scdiffot"]["state"]["config"])
    config["networks"]["n_layers"] = 10**9
    text = json.dumps(config)
    fitted_adata.uns["scdiffot"] = changed(fitted_adata.uns["scdiffot"], ("state", "config"), text)
    with pytest.raises(
        StoredFitError,
        match="has options that the weights do not have|`networks.n_layers` is 1000000000",
    ):
        sdo.get.model(fitted_adata)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
def test_changes_of_results_beside_a_fit_are_refused(fitted_adata, quick):
    sdo.tl.sta_forward(fitted_adata, "cell_type", n_trajectories=3, show_progress=False)
    sdo.tl.sta_backward(fitted_adata, "cell_type", show_progress=False)
    sdo.tl.landscape(fitted_adata, n_grid=10, cell_key="cell_type")
    sdo.tl.validate(fitted_adata, show_progress=False)
    readers = {
        "fate": lambda: (
            sdo.get.fate(fitted_adata),
            sdo.pl.fate(fitted_adata, kind="alluvial", return_fig=True),
        ),
        "ancestry": lambda: sdo.pl.ancestry(fitted_adata, kind="composition", return_fig=True),
        "landscape": lambda: sdo.pl.landscape(fitted_adata, times=[1.0], return_fig=True),
        "validation": lambda: sdo.pl.validation(fitted_adata, return_fig=True),
        "history": lambda: sdo.pl.history(fitted_adata, return_fig=True),
    }
    whole = fitted_adata.uns["scdiffot"]
    refused, obscure = dict.fromkeys(readers, 0), 0
    for name, read in readers.items():
        for path, value in itertools.islice(changes({name: whole[name]}, ()), None, None, 9):
            fitted_adata.uns["scdiffot"] = changed(whole, path, value)
            try:
                read()
            except StoredFitError:
                refused[name] += 1
            except (KeyError, ValueError) as error:
                # Changed names of types, cells or times; the error must name the argument.
                obscure += "`" not in str(error)
            plt.close("all")
    assert min(refused.values()) >= 5
    assert not obscure


def test_other_entries_than_fits_are_refused(fitted_adata):
    for entry in (1, {"a": 1}, "text", np.zeros(3)):
        fitted_adata.uns["mine"] = entry
        with pytest.raises(
            StoredFitError, match=r"adata.uns\['mine'\] is something else.*There is 'scdiffot'"
        ):
            sdo.get.model(fitted_adata, key="mine")
        fitted_adata.uns["mine_response"] = entry
        with pytest.raises(StoredFitError, match=r"adata.uns\['mine_response'\]"):
            sdo.tl.predict_response(fitted_adata, key="mine")
    with pytest.raises(KeyError, match="run scdiffot.tl.fit"):
        sdo.get.model(fitted_adata, key="absent")


@pytest.mark.parametrize("growth", [True, False])
@pytest.mark.parametrize("form", ["gradient", "separate"])
@pytest.mark.parametrize("autonomous", [True, False])
def test_shapes_of_fields_are_those_of_the_networks(growth, form, autonomous):
    for n_times, n_layers in ((2, 1), (4, 3)):
        options = {
            "growth": growth,
            "form": form,
            "autonomous": autonomous,
            "n_hidden": 9,
            "n_layers": n_layers,
        }
        fields = Fields(torch.arange(float(n_times)), 3, **options, sigma=1.0, alpha=1.0)
        assert {k: tuple(v.shape) for k, v in fields.state_dict().items()} == Fields.shapes(
            n_times, 3, **options
        )


def test_shapes_of_other_models_are_those_of_their_networks():
    for network, shapes in (
        (ConvexMaps(2, 3), ConvexMaps.shapes(2, 3)),
        (Autoencoder(7, 2, 5, "nb"), Autoencoder.shapes(7, 2, 5)),
    ):
        assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == shapes
