"""Layout and reproducibility of the simulated responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

from scdiffot import datasets
from scdiffot._data.read.extract import locate
from scdiffot._data.write.decoders import _read_pca

if TYPE_CHECKING:
    from scdiffot._data.write.decoders import GeneSpace


SMALL: dict[str, Any] = {"n_obs": 1200, "n_dims": 10, "n_genes": 30}


def control(adata: ad.AnnData) -> np.ndarray:
    return (adata.obs["condition"] == "control").to_numpy()


def decoder(adata: ad.AnnData) -> GeneSpace:
    return _read_pca(
        locate(adata, "X_pca"), adata.varm["PCs"], adata.uns["pca"], adata.obsm["X_pca"].shape[1]
    )


@pytest.fixture(scope="module")
def default() -> ad.AnnData:
    return datasets.perturbation_response()


def test_layout(default, tmp_path):
    assert default.shape == (4000, 200)
    assert default.X.dtype == np.float32
    assert default.X.min() >= 0
    assert default.obs_names.is_unique
    assert default.obs["condition"].cat.categories.tolist() == ["control", "drug"]
    assert default.obs["donor"].cat.categories.tolist() == ["donor_1", "donor_2", "donor_3"]
    assert len(default.obs["subpopulation"].cat.categories) == 5
    assert default.obs.groupby("condition", observed=True)["dose"].unique().map(list).to_dict() == {
        "control": [0.0],
        "drug": [1.0],
    }
    assert default.obsm["true_response"].shape == default.obsm["X_pca"].shape == (4000, 50)
    assert (default.obs["true_survival"] == 1).all()
    table = pd.crosstab(default.obs["donor"], default.obs["condition"])
    # the same number of cells of every donor in both conditions
    assert (table["control"] == table["drug"]).all()
    default.write_h5ad(tmp_path / "a.h5ad")
    from_file = ad.read_h5ad(tmp_path / "a.h5ad")
    assert set(from_file.uns["true"]) == {
        "amplitude",
        "effect",
        "survival",
        "shares",
        "donor_shifts",
    }


def test_coordinates_are_the_principal_components(default):
    pcs, x = default.varm["PCs"], default.X.astype(float)
    np.testing.assert_allclose(pcs.T @ pcs, np.eye(50), atol=1e-10)
    np.testing.assert_allclose((x - x.mean(axis=0)) @ pcs, default.obsm["X_pca"], atol=1e-4)
    other = default.copy()
    sc.pp.pca(other, n_comps=50)
    np.testing.assert_allclose(
        other.uns["pca"]["variance"], default.uns["pca"]["variance"], rtol=1e-4
    )
    np.testing.assert_allclose(
        other.uns["pca"]["variance_ratio"], default.uns["pca"]["variance_ratio"], rtol=1e-4
    )
    # the same axes, up to sign, if their variances differ enough
    np.testing.assert_allclose(np.abs((other.varm["PCs"] * pcs).sum(axis=0))[:5], 1, atol=1e-4)


def test_genes_decode_exactly(default):
    np.testing.assert_allclose(decoder(default).decode(default.obsm["X_pca"]), default.X, atol=1e-4)
    part = default[(default.obs["donor"] == "donor_1") & control(default)].copy()
    np.testing.assert_allclose(decoder(part).decode(part.obsm["X_pca"]), part.X, atol=1e-4)


@pytest.mark.parametrize("n_obs", [400, 2000])
def test_law_does_not_depend_on_the_number_of_cells(n_obs):
    small, large = (
        datasets.perturbation_response(n, n_dims=8, n_genes=20, death=0.2) for n in (n_obs, 600)
    )
    for name in ("amplitude", "survival", "shares"):
        np.testing.assert_array_equal(small.uns["true"][name], large.uns["true"][name])
    # effects in genes, which do not depend on the rotation to the components of the sample
    genes = [a.uns["true"]["effect"] @ a.varm["PCs"].T for a in (small, large)]
    np.testing.assert_allclose(genes[0], genes[1], atol=1e-10)


def test_seeds_reproduce():
    first, second, other = (datasets.perturbation_response(**SMALL, rng=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.X, second.X)
    assert (first.X != other.X).any()
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(datasets.perturbation_response(**SMALL, rng=generator).X, first.X)
    assert (datasets.perturbation_response(**SMALL, rng=generator).X != first.X).any()


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"n_obs": 3}, ValueError, "`n_obs` is 3: pass at least 4"),
        ({"n_dims": 1}, ValueError, "`n_dims` is 1"),
        ({"n_genes": 20}, ValueError, "`n_genes` is 20: pass at least 50"),
        ({"n_types": 0}, ValueError, "`n_types` is 0"),
        ({"n_donors": 1.5}, TypeError, "`n_donors` is a float: pass a whole number"),
        ({"targets": "drug"}, TypeError, "`targets` is 'drug': pass a sequence of names"),
        ({"targets": (1,)}, TypeError, r"`targets` is \(1,\)"),
        ({"targets": ()}, ValueError, r"`targets` is \(\)"),
        ({"targets": ("a", "a")}, ValueError, "each once"),
        ({"targets": ("control",)}, ValueError, "other than 'control'"),
        ({"doses": 1.0}, TypeError, "`doses` is 1.0: pass a sequence of numbers"),
        ({"doses": ("low",)}, TypeError, r"`doses\[0\]` is a str: pass a number"),
        ({"doses": (0.0, 1.0)}, ValueError, r"`doses\[0\]` is 0.0: pass a positive number"),
        ({"doses": (1.0, 1.0)}, ValueError, "pass every dose once"),
        ({"shared": 1.1}, ValueError, "`shared` is 1.1: pass a number from 0 to 1"),
        ({"heterogeneity": -0.1}, ValueError, "`heterogeneity` is -0.1"),
        ({"separation": np.nan}, ValueError, "`separation` is nan"),
        ({"donor_shift": np.inf}, ValueError, "`donor_shift` is inf"),
        ({"death": 1.0}, ValueError, "`death` is 1: nothing would be left"),
        ({"death": "all"}, TypeError, "`death` is a str: pass a number"),
    ],
)
def test_wrong_input_is_named(arguments, error, match):
    with pytest.raises(error, match=match):
        datasets.perturbation_response(**arguments)
