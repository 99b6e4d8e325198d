from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import scdiffot as sdo

GROUPS = ("condition", "control", "drug")

READ_AND_PREDICT = """
import sys
import anndata, numpy as np
import scdiffot as sdo
path, out, *keys = sys.argv[1:]
adata = anndata.read_zarr(path) if path.endswith("zarr") else anndata.read_h5ad(path)
for key in keys:
    sdo.tl.predict_response(adata, target="drug", key=key)
states = {key: adata.obsm[f"{key}_predicted"] for key in keys}
np.savez(out, survival=adata.obs["unbalanced_survival"], **states)
"""


def controls(adata):
    return (adata.obs["condition"] == "control").to_numpy()


def predict(adata, **options):
    return np.asarray(
        sdo.tl.predict_response(adata, copy=True, **options).obsm["scdiffot_predicted"]
    )


def test_writes_only_the_documented_fields(fitted_response, fingerprint):
    previous = fingerprint(fitted_response)
    assert sdo.tl.predict_response(fitted_response) is None
    cells = controls(fitted_response)
    current, previous_again = (
        fitted_response.obsm.pop("scdiffot_predicted"),
        np.asarray(fitted_response.obsm["X_pca"]),
    )
    response = fitted_response.obsm.pop("scdiffot_response")
    effect = fitted_response.obs.pop("scdiffot_effect_size")
    info = fitted_response.uns.pop("scdiffot_prediction")
    assert (info["key"], info["target"]) == ("scdiffot", "drug")
    assert np.isnan(info["dose"])
    assert fingerprint(fitted_response) == previous
    assert current.shape == response.shape == previous_again.shape
    for values in (current, response, effect.to_numpy()[:, None]):
        assert np.isfinite(values[cells]).all()
        assert np.isnan(values[~cells]).all()
    assert response[cells] == pytest.approx(current[cells] - previous_again[cells], abs=1e-4)
    # the lower bound is the cost of a straight line
    assert (effect[cells] >= 0.999 * 0.5 * (response[cells] ** 2).sum(axis=1)).all()


def test_copy_leaves_the_data_unchanged(fitted_response, fingerprint):
    previous = fingerprint(fitted_response)
    assert (
        "scdiffot_predicted" in sdo.tl.predict_response(fitted_response, genes=True, copy=True).obsm
    )
    assert fingerprint(fitted_response) == previous


def test_cells_by_query_mask_and_names(fitted_response):
    mask = (fitted_response.obs["subpopulation"] == "type_1").to_numpy() & controls(fitted_response)
    of_query = predict(
        fitted_response, source="subpopulation == 'type_1' and condition == 'control'"
    )
    assert np.array_equal(np.isfinite(of_query[:, 0]), mask)
    assert np.array_equal(predict(fitted_response, source=mask), of_query, equal_nan=True)
    names = fitted_response.obs_names[mask].to_numpy()
    assert np.array_equal(predict(fitted_response, source=names[::-1]), of_query, equal_nan=True)
    # treated cells too, if requested
    assert np.isfinite(
        predict(fitted_response, source=~controls(fitted_response))[~controls(fitted_response)]
    ).all()


@pytest.mark.parametrize("option", ["inverse", "project"])
@pytest.mark.parametrize("value", [1, 0, "yes", None, [True], np.ones(2, bool)])
def test_flags_are_true_or_false(fitted_response, fingerprint, option, value):
    previous = fingerprint(fitted_response)
    with pytest.raises(TypeError, match=f"^`{option}` is .*: pass True or False"):
        sdo.tl.predict_response(fitted_response, **{option: value})
    assert fingerprint(fitted_response) == previous


def test_flags_of_numpy_are_flags(fitted_response):
    sdo.tl.predict_response(fitted_response, inverse=np.False_, project=np.False_, genes=np.False_)
    expected = fitted_response.obsm["scdiffot_predicted"].copy()
    sdo.tl.predict_response(fitted_response)
    np.testing.assert_array_equal(fitted_response.obsm["scdiffot_predicted"], expected)
    sdo.tl.predict_response(fitted_response, inverse=np.True_)
    assert "scdiffot_untreated" in fitted_response.obsm


def test_inverse_is_of_treated_cells_by_default(fitted_response, fingerprint):
    sdo.tl.predict_response(fitted_response)
    previous = fingerprint(fitted_response)
    sdo.tl.predict_response(fitted_response, inverse=True)
    untreated = fitted_response.obsm.pop("scdiffot_untreated")
    assert fitted_response.uns.pop("scdiffot_untreated")["target"] == "drug"
    assert fingerprint(fitted_response) == previous
    assert np.isfinite(untreated[~controls(fitted_response)]).all()
    assert np.isnan(untreated[controls(fitted_response)]).all()


@pytest.mark.parametrize("method", ["flow", "convex"])
def test_inverse_undoes_the_prediction(treated, quick_response, method):
    sdo.tl.fit_response(
        treated, *GROUPS, method=method, **quick_response | {"config": {"train": {"n_steps": 100}}}
    )
    sdo.tl.predict_response(treated)
    cells = controls(treated)
    subset = treated[cells].copy()
    # the states are replaced on purpose
    subset.obsm["X_pca"] = subset.obsm["scdiffot_predicted"]
    del subset.obsm["scdiffot_fingerprint"]
    sdo.tl.predict_response(subset, inverse=True, source=np.ones(subset.n_obs, bool))
    start = treated.obsm["X_pca"][cells]
    error = np.sqrt(np.mean((subset.obsm["scdiffot_untreated"] - start) ** 2))
    assert error < 0.01 * np.sqrt(start.var(axis=0).mean())


class TestGenes:
    def test_are_decoded_for_the_cells_alone(self, fitted_response):
        sdo.tl.predict_response(fitted_response, genes=True)
        layer, cells = fitted_response.layers["scdiffot_predicted"], controls(fitted_response)
        assert np.isnan(layer[~cells]).all()
        mean = fitted_response.X.mean(axis=0, dtype=np.float64)
        expected = (
            mean + fitted_response.obsm["scdiffot_predicted"][cells] @ fitted_response.varm["PCs"].T
        )
        assert layer[cells] == pytest.approx(expected, abs=1e-3)

    def test_by_name(self, fitted_response):
        sdo.tl.predict_response(fitted_response, genes=["gene_5", "gene_2"])
        layer = fitted_response.layers["scdiffot_predicted"]
        assert list(np.flatnonzero(np.isfinite(layer).any(axis=0))) == [1, 4]
        all_genes = sdo.tl.predict_response(fitted_response, genes=True, copy=True).layers[
            "scdiffot_predicted"
        ]
        assert np.array_equal(layer[:, [1, 4]], all_genes[:, [1, 4]], equal_nan=True)

    def test_of_an_earlier_call_are_removed(self, fitted_response):
        sdo.tl.predict_response(fitted_response, genes=True)
        sdo.tl.predict_response(fitted_response, source="subpopulation == 'type_1'")
        assert "scdiffot_predicted" not in fitted_response.layers

    def test_by_a_decoder_of_the_user(self, fitted_response):
        import torch

        loadings = torch.as_tensor(fitted_response.varm["PCs"], dtype=torch.float32)
        pair = (lambda x: x @ loadings, lambda z: z @ loadings.T)
        sdo.tl.predict_response(fitted_response, genes=True, decoder=pair)
        expected = fitted_response.obsm["scdiffot_predicted"] @ fitted_response.varm["PCs"].T
        assert fitted_response.layers["scdiffot_predicted"] == pytest.approx(
            expected, abs=1e-3, nan_ok=True
        )

    def test_in_other_data_with_another_order(self, fitted_response):
        new = fitted_response[controls(fitted_response), ::-1].copy()
        del new.uns["scdiffot_response"]
        sdo.tl.predict_response(new, reference=fitted_response, genes=["gene_3"])
        sdo.tl.predict_response(fitted_response, genes=["gene_3"])
        expected = fitted_response[controls(fitted_response)].to_df("scdiffot_predicted")["gene_3"]
        assert np.array_equal(new.to_df("scdiffot_predicted")["gene_3"], expected)


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data will no longer be the default")
@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
@pytest.mark.slow
def test_another_process_predicts_the_same(treated, quick_response, tmp_path, suffix):
    fits = {
        "flow": {"context": "donor"},
        "unbalanced": {"unbalanced": True, "mass": {"drug": 0.8}},
        "convex": {"method": "convex"},
        "dose": {"dose_key": "dose", "rng": np.random.default_rng(0)},
    }
    for key, options in fits.items():
        sdo.tl.fit_response(treated, *GROUPS, key_added=key, **quick_response | options)
    path, out = tmp_path / f"fit{suffix}", tmp_path / "out.npz"
    treated.write_zarr(path) if suffix == ".zarr" else treated.write_h5ad(path)
    subprocess.run([sys.executable, "-c", READ_AND_PREDICT, path, out, *fits], check=True)
    with np.load(out) as result:
        for key in fits:
            sdo.tl.predict_response(treated, key=key)
            assert np.array_equal(result[key], treated.obsm[f"{key}_predicted"], equal_nan=True)
        assert np.array_equal(
            result["survival"], treated.obs["unbalanced_survival"], equal_nan=True
        )


@pytest.mark.parametrize("prefix", ["", "rna:"])
def test_mudata(treated, quick_response, prefix):
    mudata = pytest.importorskip("mudata")
    rna, other = treated.copy(), treated[::-1, :3].copy()
    other.var_names = [f"peak{i}" for i in range(3)]
    options = getattr(mudata, "set_options", None)
    with options(pull_on_update=False) if options else nullcontext():
        combined = mudata.MuData({"rna": rna, "atac": other})
    combined.obs["condition"] = rna.obs["condition"]
    sdo.tl.fit_response(
        combined, f"{prefix}condition", "control", "drug", use_rep="rna:X_pca", **quick_response
    )
    sdo.tl.predict_response(combined, genes=True)
    sdo.tl.fit_response(treated, *GROUPS, **quick_response)
    sdo.tl.predict_response(treated, genes=True)
    assert np.array_equal(
        combined.obsm["scdiffot_predicted"], treated.obsm["scdiffot_predicted"], equal_nan=True
    )
    layer = combined["rna"].layers["scdiffot_predicted"]
    assert np.array_equal(layer, treated.layers["scdiffot_predicted"], equal_nan=True)


def test_backed(treated, quick_response, tmp_path):
    treated.write_h5ad(tmp_path / "cells.h5ad")
    backed_adata = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    for adata in (treated, backed_adata):
        sdo.tl.fit_response(adata, *GROUPS, **quick_response)
        sdo.tl.predict_response(adata)
    assert np.array_equal(
        backed_adata.obsm["scdiffot_predicted"], treated.obsm["scdiffot_predicted"], equal_nan=True
    )
    backed_adata.file.close()


def test_sparse_expression_as_states(treated, quick_response):
    loose = treated.copy()
    loose.X = sparse.csr_matrix(loose.X)
    for adata in (treated, loose):
        sdo.tl.fit_response(adata, *GROUPS, use_rep="X", **quick_response)
    assert np.array_equal(predict(loose), predict(treated), equal_nan=True)


def test_errors_write_nothing(fitted_response, fingerprint):
    previous = fingerprint(fitted_response)
    for options, error, message in (
        ({"key": "scdifot"}, KeyError, r"`key` has no response .* Did you mean 'scdiffot'\?"),
        ({"source": "donor == 'donor_9'"}, ValueError, "`source` selects no cell"),
        ({"source": ["nobody"]}, KeyError, "nobody"),
        ({"genes": ["gene_99"]}, KeyError, "`genes` names 'gene_99'"),
        (
            {"genes": True, "inverse": True},
            ValueError,
            "`genes` are predicted after a treatment only",
        ),
    ):
        with pytest.raises(error, match=message):
            sdo.tl.predict_response(fitted_response, **options)
    with pytest.raises(ValueError, match="`adata` is a view"):
        sdo.tl.predict_response(fitted_response[:50])
    assert fingerprint(fitted_response) == previous
