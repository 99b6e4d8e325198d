"""Errors of regulation and growth genes for unsuitable input."""

from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo

FLAT, FILTERED = "Flat", "Filtered"


TOOLS = [sdo.tl.regulation, sdo.tl.growth_genes]


def _run(tool, adata, *args, **options):
    tool(adata, *args, **{"show_progress": False} | options)
    return adata.uns[options.get("key", "scdiffot")][tool.__name__]


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"genes": ["G1"]},
            KeyError,
            "`genes` names 'G1', not among adata.var_names. Did you mean 'g1'",
        ),
        (
            {"genes": [FILTERED]},
            KeyError,
            "`genes` names 'Filtered', which 'X_pca' was computed without",
        ),
        ({"genes": [FLAT, "g1"]}, ValueError, "`genes` names 'Flat', which do not vary"),
        ({"genes": []}, ValueError, "`genes` names no gene"),
        ({"genes": ["g1", "g1"]}, ValueError, "`genes` names a gene twice"),
        ({"genes": [1]}, TypeError, "`genes` holds 1: pass names"),
        ({"groupby": "cel_type"}, KeyError, "`groupby` is 'cel_type'.*Did you mean 'cell_type'"),
        ({"groupby": "time"}, TypeError, "`groupby` obs.'time'. holds float64"),
        ({"source": 7.0}, KeyError, "`source` is 7.0"),
        ({"source": np.zeros(120, bool)}, ValueError, "`source` selects no cell"),
        ({"source": "cell0"}, ValueError, "no gene of 'X_pca' varies"),
        ({"n_cells": 0}, ValueError, "`n_cells` is 0"),
        ({"n_cells": 1.5}, TypeError, "`n_cells` is a float"),
        ({"decoder": 3}, TypeError, "`decoder` is a int"),
        ({"key": "other"}, KeyError, "`key` is 'other'"),
        ({"rng": "seed"}, TypeError, "`rng` is a str"),
    ],
)
def test_bad_input(genes, tool, options, error, message, fingerprint):
    previous = fingerprint(genes)
    with pytest.raises(error, match=message):
        _run(tool, genes, **options)
    assert fingerprint(genes) == previous


@pytest.mark.parametrize("value", [0, 1.5, "high"])
def test_bad_stability(genes, value):
    with pytest.raises((ValueError, TypeError), match="`stability` is"):
        _run(sdo.tl.regulation, genes, stability=value)


def test_too_large_a_result(genes, monkeypatch):
    monkeypatch.setattr("scdiffot.tl._genes.regulation.MAX_BYTES", 12 * 2 * 100)
    with pytest.raises(ValueError, match="`genes` are 12, which makes .* pass at most 10 of them"):
        _run(sdo.tl.regulation, genes, groupby="cell_type")
    assert _run(sdo.tl.regulation, genes, [f"g{i}" for i in range(10)], groupby="cell_type")[
        "mean"
    ].shape == (
        2,
        10,
        10,
    )


@pytest.mark.parametrize("tool", TOOLS)
def test_representation_without_a_decoder(genes, quick, tool):
    genes.obsm["X_other"] = genes.obsm["X_pca"][:, ::-1].copy()
    sdo.tl.fit(genes, "time", use_rep="X_other", **quick)
    with pytest.raises(ValueError, match="'X_other' has no decoder"):
        _run(tool, genes)


@pytest.mark.parametrize("tool", TOOLS)
def test_cells_of_other_times(genes, quick, tool):
    sdo.tl.fit(genes, "time", held_out=[2.0], **quick)
    with pytest.raises(
        ValueError,
        match="`source` has cells of the times 2.0: the fit covers the times from 0 to 1",
    ):
        _run(tool, genes, source=2.0)
    _run(tool, genes)
    if tool is sdo.tl.regulation:
        assert genes.uns["scdiffot"]["regulation"]["n_cells"].tolist() == [80]


def test_growth_genes_need_growth(genes, quick):
    sdo.tl.fit(genes, "time", growth=False, mass=None, **quick)
    with pytest.raises(ValueError, match="a fit without growth"):
        _run(sdo.tl.growth_genes, genes)
