from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pytest

from scdiffot._data.read.checks import as_writable, check_adata, listed_names


def test_copying_duplicated_genes_raises_no_warning():
    adata = ad.AnnData(np.eye(3, dtype=np.float32))
    adata.var_names = ["a", "a", "b"]
    with pytest.warns(UserWarning, match="names are not unique"):
        adata.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy = as_writable(adata, copy=True)
    assert copy is not adata
    assert np.array_equal(copy.X, adata.X)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("a", ["a"]),
        (["a", "b", "a"], ["a", "b", "a"]),
        (("b",), ["b"]),
        (np.array(["a"]), ["a"]),
        ([], []),
        ({"a": 1}.keys(), ["a"]),
    ],
    ids=repr,
)
def test_one_name_or_several_become_a_list(names, expected):
    result = listed_names("metrics", names)
    assert result == expected
    assert all(type(name) is str for name in result)


def test_numbers_become_names_on_request():
    assert listed_names("slices", 3, numbers=True) == ["3"]
    assert listed_names("slices", np.array([1, 2]), numbers=True) == ["1", "2"]


@pytest.mark.parametrize(
    "names",
    [3, None, b"a", {"a": 1}, [1], ["a", None], [True], np.array([["a"]]), np.array("a")],
    ids=repr,
)
def test_other_types_than_names_are_refused(names):
    with pytest.raises(TypeError, match="`metrics` "):
        listed_names("metrics", names)


def test_flags_are_refused_as_names():
    for names in (True, [True], np.array([True])):
        with pytest.raises(TypeError, match="`slices` "):
            listed_names("slices", names, numbers=True)


def test_errors_name_the_argument():
    with pytest.raises(TypeError, match="`reference` is a str"):
        check_adata("s0", "reference")
    with pytest.raises(ValueError, match="`reference` has no cells"):
        check_adata(ad.AnnData(np.empty((0, 2), np.float32)), "reference")
