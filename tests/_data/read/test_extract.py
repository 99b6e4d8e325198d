from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scdiffot._data.read.extract import read_representation


def _numpy(x):
    return x


def _frame(x):
    return pd.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])])


def _dask(x):
    return pytest.importorskip("dask.array").from_array(x, chunks=(7, x.shape[1]))


def _sparse_dask(x):
    return (
        pytest.importorskip("dask.array")
        .from_array(x, chunks=(7, x.shape[1]))
        .map_blocks(sparse.csr_matrix)
    )


@pytest.mark.parametrize(
    "wrap",
    [_numpy, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, _frame, _dask, _sparse_dask],
)
@pytest.mark.parametrize("n_dims", [None, 2])
def test_every_container_gives_the_same_numbers(time_course, wrap, n_dims):
    values = time_course.obsm["X_pca"].copy()
    container = wrap(values)
    if isinstance(container, pd.DataFrame):
        container.index = time_course.obs_names
    time_course.obsm["X_other"] = container
    result, name = read_representation(time_course, "other", n_dims=n_dims)
    assert name == "X_other"
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, values[:, :n_dims])


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("int8", "float32"),
        ("uint16", "float32"),
        ("int64", "float64"),
        ("bool", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
    ],
)
def test_numbers_become_floats_without_loss(time_course, dtype, expected):
    time_course.obsm["X_int"] = (10 * time_course.obsm["X_pca"]).clip(0, 100).astype(dtype)
    result, _ = read_representation(time_course, "X_int")
    assert result.dtype == expected
    np.testing.assert_array_equal(result, time_course.obsm["X_int"])


def test_the_result_is_a_copy(time_course):
    result, _ = read_representation(time_course, "X_pca")
    result[:] = 0
    assert time_course.obsm["X_pca"].any()


def test_literal_keys_have_precedence(time_course):
    time_course.obsm["pca"] = -time_course.obsm["X_pca"]
    time_course.obsm["X"] = 2 * time_course.obsm["X_pca"]
    time_course.layers["deep"] = time_course.X * 3
    assert read_representation(time_course, "pca")[1] == "pca"
    np.testing.assert_array_equal(read_representation(time_course, "X")[0], time_course.obsm["X"])
    del time_course.obsm["pca"], time_course.obsm["X"]
    assert read_representation(time_course, "pca")[1] == "X_pca"
    np.testing.assert_array_equal(read_representation(time_course, "X")[0], time_course.X)
    np.testing.assert_array_equal(
        read_representation(time_course, "deep")[0], time_course.layers["deep"]
    )


@pytest.mark.parametrize("to_sparse", [False, True])
@pytest.mark.parametrize("n_dims", [None, 2])
def test_backed_files_are_read(time_course, tmp_path, to_sparse, n_dims):
    x = time_course.X.copy()
    if to_sparse:
        time_course.X = sparse.csr_matrix(time_course.X)
    time_course.write_h5ad(tmp_path / "course.h5ad")
    backed = ad.read_h5ad(tmp_path / "course.h5ad", backed="r")
    np.testing.assert_array_equal(read_representation(backed, "X", n_dims=n_dims)[0], x[:, :n_dims])
    backed.file.close()


def test_representations_of_a_modality_are_read(time_course, mdata):
    result, name = read_representation(mdata, "rna:pca")
    assert name == "rna:X_pca"
    np.testing.assert_array_equal(result, time_course.obsm["X_pca"])
    # "atac" has another order of cells than the MuData.
    np.testing.assert_array_equal(
        read_representation(mdata, "atac:X_pca")[0], time_course.obsm["X_pca"]
    )
    np.testing.assert_array_equal(read_representation(mdata, "atac:X")[0], time_course.X)
    mdata.obsm["X_joint"] = time_course.obsm["X_pca"] * 2
    assert read_representation(mdata, "joint")[1] == "X_joint"
    with pytest.raises(KeyError, match=r"no modality 'rma'. Did you mean 'rna'\?"):
        read_representation(mdata, "rma:X_pca")
    with pytest.raises(
        KeyError, match=r"'rna:X_pcs', which is no key of obsm. Did you mean 'rna:X_pca'\?"
    ):
        read_representation(mdata, "rna:X_pcs")


def test_cells_missing_in_a_modality_are_refused(time_course, partial_mdata):
    with pytest.raises(
        ValueError,
        match=rf"'atac:X_pca' lacks {time_course.n_obs - 50} of {time_course.n_obs} cells",
    ):
        read_representation(partial_mdata, "atac:X_pca")


def test_a_missing_key_suggests_the_closest(time_course):
    with pytest.raises(
        KeyError, match=r"`use_rep` is 'X_PCA', .* Did you mean 'X_pca'\? There is 'X_pca', 'X'"
    ):
        read_representation(time_course, "X_PCA")
    with pytest.raises(TypeError, match="`use_rep` is a int"):
        read_representation(time_course, 3)
    no_x = ad.AnnData(obs=time_course.obs, obsm=dict(time_course.obsm))
    with pytest.raises(KeyError, match=r"`use_rep` is 'X', but X is empty"):
        read_representation(no_x, "X")


@pytest.mark.parametrize(
    ("n_dims", "error", "message"),
    [
        (0, ValueError, "`n_dims` is 0, but 'X_pca' has 3 columns"),
        (4, ValueError, "`n_dims` is 4, but 'X_pca' has 3 columns"),
        (2.0, TypeError, "`n_dims` is a float"),
        (True, TypeError, "`n_dims` is a bool"),
    ],
)
def test_invalid_numbers_of_dimensions_are_refused(time_course, n_dims, error, message):
    with pytest.raises(error, match=message):
        read_representation(time_course, "X_pca", n_dims=n_dims)


def test_other_values_than_rows_of_numbers_are_refused(time_course):
    time_course.obsm["text"] = np.full((time_course.n_obs, 2), "a")
    with pytest.raises(TypeError, match="`use_rep` 'text' holds <U1: pass real numbers"):
        read_representation(time_course, "text")
    time_course.obsm["complex"] = np.ones((time_course.n_obs, 2), dtype=complex)
    with pytest.raises(TypeError, match="`use_rep` 'complex' holds complex128"):
        read_representation(time_course, "complex")
    time_course.obsm["frame"] = pd.DataFrame(
        {"a": ["x"] * time_course.n_obs}, index=time_course.obs_names
    )
    with pytest.raises(TypeError, match="`use_rep` 'frame' holds object"):
        read_representation(time_course, "frame")
    time_course.obsm["empty"] = np.ones((time_course.n_obs, 0))
    with pytest.raises(ValueError, match="`use_rep` 'empty' has no columns"):
        read_representation(time_course, "empty")
    time_course.obsm["cube"] = np.ones((time_course.n_obs, 2, 2))
    with pytest.raises(ValueError, match="`use_rep` 'cube' has shape"):
        read_representation(time_course, "cube")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_name_the_cells(time_course, bad):
    time_course.obsm["X_pca"][5, 2] = bad
    name = time_course.obs_names[5]
    with pytest.raises(
        ValueError,
        match=f"NaN or infinite in 1 of {time_course.n_obs} cells, for instance '{name}'",
    ):
        read_representation(time_course, "X_pca")
    assert read_representation(time_course, "X_pca", n_dims=2)[0].shape == (time_course.n_obs, 2)
