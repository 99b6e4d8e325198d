"""Columns as in the data sets of pertpy."""

from __future__ import annotations

import inspect

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo


def _cells(**columns):
    n = len(next(iter(columns.values())))
    return ad.AnnData(
        np.zeros((n, 2), np.float32), obs=pd.DataFrame(columns, index=[f"c{i}" for i in range(n)])
    )


def _arguments(adata, **options):
    result = sdo.ext.pertpy(adata, **options)
    return tuple(
        result[name] for name in ("condition_key", "control", "target", "context", "dose_key")
    )


def test_arguments_are_those_of_the_fit():
    result = sdo.ext.pertpy(sdo.datasets.perturbation_response(100))
    assert set(result) <= set(inspect.signature(sdo.tl.fit_response).parameters)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        # interferon-beta
        (
            {
                "label": ["ctrl", "stim"] * 2,
                "replicate": ["p1", "p1", "p2", "p2"],
                "cell_type": list("ABAB"),
            },
            ("label", "ctrl", "stim", "replicate", None),
        ),
        # genes
        (
            {"perturbation_name": ["control", "KLF1", "KLF1+MAP2K6"]},
            ("perturbation_name", "control", None, None, None),
        ),
        # drugs at several doses, in cell lines that were measured twice
        (
            {
                "perturbation": pd.Categorical(["control", "Dasatinib", "Dasatinib", "control"]),
                "dose_value": pd.Categorical(["0.0", "10", "100", "0.0"]),
                "cell_line": ["A549", "A549", "K562", "K562"],
                "replicate": ["rep1", "rep2", "rep1", "rep2"],
            },
            ("perturbation", "control", "Dasatinib", "cell_line", "dose_value"),
        ),
        # single doses and single cell lines are not used; cells without a label are ignored
        (
            {
                "Perturbation": ["Vehicle", "drug", None],
                "dose": [np.nan, 3.0, np.nan],
                "cell_line": ["A549", "A549", "K562"],
            },
            ("Perturbation", "Vehicle", "drug", None, None),
        ),
        # the same groups under two names
        (
            {"condition": ["Control", "Salmonella"], "treatment": ["ctrl", "infected"]},
            ("condition", "Control", "Salmonella", None, None),
        ),
    ],
)
def test_usual_names_are_found(columns, expected, fingerprint):
    adata = _cells(**columns)
    previous = fingerprint(adata)
    result = _arguments(adata)
    expected = tuple(
        ["KLF1", "KLF1+MAP2K6"] if i == 2 and e is None else e for i, e in enumerate(expected)
    )
    assert result == expected
    assert fingerprint(adata) == previous


def test_passed_arguments_are_used():
    adata = _cells(
        perturbation=["NT", "Perturbed", "Perturbed", "NT"],
        gene_target=["NT", "IRF1", "STAT2", "NT"],
        donor=["a", "a", "b", "b"],
        dose=[0, 1, 2, 0],
    )
    with pytest.raises(
        ValueError, match=r"`condition_key` is missing, and 'perturbation', 'gene_target' all hold"
    ):
        sdo.ext.pertpy(adata)
    assert _arguments(adata, condition_key="gene_target") == (
        "gene_target",
        "NT",
        ["IRF1", "STAT2"],
        "donor",
        "dose",
    )
    assert _arguments(
        adata, condition_key="gene_target", target="STAT2", context=None, dose_key=None
    ) == (
        "gene_target",
        "NT",
        "STAT2",
        None,
        None,
    )
    assert _arguments(adata, condition_key="gene_target", control="IRF1", target=["NT"])[1:3] == (
        "IRF1",
        "NT",
    )


@pytest.mark.parametrize(
    ("columns", "options", "error", "message"),
    [
        (
            {"cluster": ["a", "b"]},
            {},
            KeyError,
            r"`condition_key` is missing: obs has none of.*There is 'cluster'",
        ),
        (
            {"perturbation": ["a", "b"]},
            {},
            KeyError,
            r"`control` is missing: obs\['perturbation'\] holds 'a', 'b'",
        ),
        ({"perturbation": ["a", "b"]}, {"control": "c"}, KeyError, r"`control` is 'c'"),
        (
            {"perturbation": ["control", "DMSO", "a"]},
            {},
            ValueError,
            r"`control` is missing, and .*'DMSO', 'control'",
        ),
        (
            {"perturbation": ["control", "a"]},
            {"target": "A"},
            KeyError,
            r"`target` is 'A'.*Did you mean 'a'",
        ),
        (
            {"perturbation": ["control", "a"]},
            {"target": 3},
            KeyError,
            r"`target` is '3', which is not in",
        ),
        ({"perturbation": ["control", "a"]}, {"target": []}, ValueError, r"`target` is empty"),
        (
            {"perturbation": ["control", "a"]},
            {"target": ["control"]},
            ValueError,
            r"`target` names the control",
        ),
        (
            {"perturbation": ["control", "a"]},
            {"condition_key": "auto"},
            KeyError,
            r"`condition_key` is 'auto'",
        ),
        ({"perturbation": ["control", "a"]}, {"dose_key": 3}, TypeError, r"`dose_key` is a int"),
        (
            {"perturbation": ["control", "a"]},
            {"context": "donor"},
            KeyError,
            r"`context` is 'donor', which is no column",
        ),
        (
            {"perturbation": ["control", "a"] * 2, "donor": list("xxyy"), "species": list("mhhm")},
            {},
            ValueError,
            r"`context` is missing, and obs has 'donor', 'species'",
        ),
        (
            {
                "perturbation": ["control", "a", "a", "a"],
                "dose": [0, 1, 2, 2],
                "dosage": [0, 1, 1, 2],
            },
            {},
            ValueError,
            r"`dose_key` is missing",
        ),
    ],
)
def test_clear_errors(columns, options, error, message):
    adata = _cells(**columns)
    with pytest.raises(error, match=message):
        sdo.ext.pertpy(adata, **options)
