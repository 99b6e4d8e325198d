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
found = {key: adata.obsm[f"{key}_predicted"] for key in keys}
np.savez(out, survival=adata.obs["unbalanced_survival"], **found)
"""


def controls(adata):
    return (adata.obs["condition"] == "control").to_numpy()


def predict(adata, **options):
    return np.asarray(
        sdo.tl.predict_response(adata, copy=True, **options).obsm["scdiffot_predicted"]
    )


def test_writes_what_it_says_and_nothing_else(fitted_response, fingerprint):
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
def test_inverse_undoes_the_prediction(treated, brief, method):
    sdo.tl.fit_response(treated, *GROUPS, method=method, **brief | {"n_steps": 100})
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


class TestSeveralPredictions:
    @pytest.fixture
    def dose_adata(self, treat, brief):
        adata = treat(n_obs=300, targets=("a", "b"), doses=(0.1, 10.0))
        sdo.tl.fit_response(
            adata, "condition", "control", ["a", "b"], dose_key="dose", **brief | {"n_steps": 3}
        )
        return adata

    def test_stand_side_by_side_and_know_what_they_are(self, dose_adata, caplog, tmp_path):
        sdo.tl.predict_response(dose_adata, target="b")
        plain = dose_adata.obsm["scdiffot_predicted"].copy()
        sdo.tl.predict_response(dose_adata, target="a", dose=0.1, key_added="low", genes=True)
        assert np.array_equal(dose_adata.obsm["scdiffot_predicted"], plain, equal_nan=True)
        assert not np.array_equal(dose_adata.obsm["low_predicted"], plain, equal_nan=True)
        assert dose_adata.uns["low_prediction"] == {"key": "scdiffot", "target": "a", "dose": 0.1}
        # the highest dose is the default
        assert dose_adata.uns["scdiffot_prediction"] == {
            "key": "scdiffot",
            "target": "b",
            "dose": 10.0,
        }
        assert not caplog.text
        # all readers find each of the predictions, also in a file
        sdo.tl.response_subpopulations(dose_adata, groupby="subpopulation", key="low")
        dose_adata.write_h5ad(tmp_path / "a.h5ad")
        for adata in (dose_adata, ad.read_h5ad(tmp_path / "a.h5ad")):
            tables = {key: sdo.get.response(adata, "genes", key=key) for key in ("scdiffot", "low")}
            cells = np.isfinite(adata.obsm["low_predicted"][:, 0])
            mean = adata.to_df("low_predicted")[cells].mean()[tables["low"]["gene"]]
            np.testing.assert_allclose(tables["low"]["predicted"], mean, rtol=1e-4, atol=1e-4)
            assert not tables["low"].equals(tables["scdiffot"])
            assert len(sdo.get.response(adata, "subpopulations", key="low")) == 2

    def test_a_second_one_of_the_same_name_says_what_it_replaces(self, dose_adata, caplog):
        sdo.tl.predict_response(dose_adata, target="a")
        sdo.tl.predict_response(dose_adata, target="a", source="subpopulation == 'type_1'")
        assert not caplog.text
        sdo.tl.predict_response(dose_adata, target="a", dose=0.1)
        assert (
            "The prediction of 'a' at 10 under 'scdiffot' is replaced by that of 'a' at 0.1"
            in caplog.text
        )

    def test_a_second_fit_drops_them_all(self, dose_adata, brief):
        previous = {*dose_adata.obs, *dose_adata.obsm, *dose_adata.uns}
        sdo.tl.predict_response(dose_adata, target="a", key_added="low", genes=True)
        sdo.tl.predict_response(dose_adata, target="a", inverse=True, key_added="back")
        sdo.tl.fit_response(dose_adata, "condition", "control", "a", **brief)
        assert {*dose_adata.obs, *dose_adata.obsm, *dose_adata.uns} == previous
        assert not dose_adata.layers

    def test_not_under_the_name_of_another_response(self, dose_adata, brief, fingerprint):
        sdo.tl.fit_response(dose_adata, "condition", "control", "a", key_added="other", **brief)
        previous = fingerprint(dose_adata)
        with pytest.raises(
            ValueError, match="`key_added` is 'other', which is the name of another response"
        ):
            sdo.tl.predict_response(dose_adata, target="a", key_added="other")
        assert fingerprint(dose_adata) == previous


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
        everything = sdo.tl.predict_response(fitted_response, genes=True, copy=True).layers[
            "scdiffot_predicted"
        ]
        assert np.array_equal(layer[:, [1, 4]], everything[:, [1, 4]], equal_nan=True)

    def test_of_an_earlier_call_do_not_outlive_it(self, fitted_response):
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


class TestOtherData:
    @pytest.fixture
    def new(self, fitted_response):
        """Control cells without the fit, with genes in reverse order and one additional gene."""
        cells = fitted_response[controls(fitted_response)]
        names = [*fitted_response.var_names[::-1], "extra"]
        x = np.column_stack([np.asarray(cells.X)[:, ::-1], np.ones(cells.n_obs)]).astype(np.float32)
        new = ad.AnnData(x, obs=cells.obs[["donor"]].copy())
        new.var_names = names
        return new

    def test_projected_states_are_those_of_the_fit(self, fitted_response, new):
        sdo.tl.predict_response(fitted_response)
        sdo.tl.predict_response(new, reference=fitted_response, project=True)
        expected = fitted_response.obsm["scdiffot_predicted"][controls(fitted_response)]
        assert np.asarray(new.obsm["scdiffot_predicted"]) == pytest.approx(expected, abs=1e-3)
        assert np.array_equal(
            predict(new, reference=fitted_response), new.obsm["scdiffot_predicted"]
        )

    def test_projected_from_sparse_expression(self, fitted_response, new):
        dense = predict(new, reference=fitted_response, project=True)
        new.X = sparse.csr_matrix(new.X)
        assert predict(new, reference=fitted_response, project=True) == pytest.approx(
            dense, abs=1e-4
        )

    @pytest.mark.parametrize("scale", ["counts", "normalised", "scaled"])
    def test_expression_on_another_scale_is_refused(self, fitted_response, new, fingerprint, scale):
        logarithms = np.asarray(new.X, dtype=np.float64)
        new.X = {
            "counts": np.rint(np.expm1(logarithms)),
            "normalised": np.expm1(logarithms) + 0.5,
            "scaled": (logarithms - logarithms.mean(axis=0))
            / np.maximum(logarithms.std(axis=0), 1e-6),
        }[scale]
        previous = fingerprint(new)
        with pytest.raises(ValueError, match="`adata` X holds .*on another scale.*log1p"):
            sdo.tl.predict_response(new, reference=fitted_response, project=True)
        assert fingerprint(new) == previous

    def test_counts_are_refused_where_states_are_logarithms(self, treated, brief):
        sdo.tl.fit_response(treated, *GROUPS, use_rep="X", **brief)
        new = treated.copy()
        new.X = np.rint(np.expm1(np.asarray(new.X)))
        with pytest.raises(ValueError, match="`adata` 'X' holds counts"):
            sdo.tl.predict_response(new, reference=treated)
        # the same for logarithms in place of counts
        sdo.tl.fit_response(new, *GROUPS, use_rep="X", **brief)
        with pytest.raises(ValueError, match="`adata` 'X' holds no counts"):
            sdo.tl.predict_response(treated, reference=new)
        assert np.isfinite(predict(new, reference=new)[controls(new)]).all()

    def test_own_states_of_all_cells(self, fitted_response, new):
        new.obsm["X_pca"] = np.asarray(fitted_response.obsm["X_pca"])[controls(fitted_response)]
        expected = predict(fitted_response)[controls(fitted_response)]
        assert np.array_equal(predict(new, reference=fitted_response), expected)

    def test_untreated_cells_of_an_unseen_donor(self, fitted_response, new):
        new.obsm["X_pca"] = (
            np.asarray(fitted_response.obsm["X_pca"])[controls(fitted_response)] + 0.1
        )
        new.obs["donor"] = "donor_9"
        assert np.isfinite(predict(new, reference=fitted_response)).all()

    def test_missing_genes(self, fitted_response, new):
        with pytest.raises(
            KeyError, match="`adata` lacks 1 genes of the reference, for instance 'gene_7'"
        ):
            sdo.tl.predict_response(
                new[:, new.var_names != "gene_7"].copy(), reference=fitted_response, project=True
            )

    def test_missing_representation(self, fitted_response, new, fingerprint):
        previous = fingerprint(new)
        with pytest.raises(
            KeyError, match="no 'X_pca', in which the response was fitted: pass `project=True`"
        ):
            sdo.tl.predict_response(new, reference=fitted_response)
        assert fingerprint(new) == previous

    def test_axes_of_its_own(self, fitted_response, new):
        sc = pytest.importorskip("scanpy")
        sc.pp.pca(new, n_comps=6)
        with pytest.raises(
            ValueError, match="`adata` has a 'X_pca' with other axes than that of `reference`"
        ):
            sdo.tl.predict_response(new, reference=fitted_response)
        assert np.isfinite(predict(new, reference=fitted_response, project=True)).all()

    def test_genes_as_states_are_matched_by_name(self, treated, brief):
        sdo.tl.fit_response(treated, *GROUPS, use_rep="X", **brief)
        new = treated[:, ::-1].copy()
        del new.uns["scdiffot_response"]
        # matrix products may round differently
        assert predict(new, reference=treated) == pytest.approx(
            predict(treated), abs=1e-5, nan_ok=True
        )
        with pytest.raises(
            KeyError, match="`adata` lacks the genes 'gene_1', which the response was fitted to"
        ):
            sdo.tl.predict_response(new[:, new.var_names != "gene_1"].copy(), reference=treated)


class TestTargets:
    @pytest.fixture
    def two_targets(self, treat, brief):
        adata = treat(targets=("drug", "other"), n_obs=360)
        sdo.tl.fit_response(
            adata, "condition", "control", ["drug", "other"], **brief | {"n_steps": 100}
        )
        return adata

    def test_of_one_model_differ_and_go_their_ways(self, two_targets):
        states = np.asarray(two_targets.obsm["X_pca"])
        start = states[controls(two_targets)].mean(axis=0)
        for target in ("drug", "other"):
            shift = np.nanmean(predict(two_targets, target=target), axis=0) - start
            true = states[two_targets.obs["condition"] == target].mean(axis=0) - start
            # tolerance: a mean of 120 cells after only 100 steps
            assert np.linalg.norm(shift - true) < 0.35 * np.linalg.norm(true)

    def test_must_be_named(self, two_targets):
        with pytest.raises(
            ValueError, match="`target` is missing: the model knows 'drug', 'other'"
        ):
            sdo.tl.predict_response(two_targets)
        with pytest.raises(KeyError, match=r"`target` is 'othr', .* Did you mean 'other'\?"):
            sdo.tl.predict_response(two_targets, target="othr")

    def test_inverse_takes_the_cells_of_the_target(self, two_targets):
        sdo.tl.predict_response(two_targets, target="other", inverse=True)
        result = np.isfinite(two_targets.obsm["scdiffot_untreated"][:, 0])
        assert np.array_equal(result, two_targets.obs["condition"] == "other")

    def test_unseen_one_lies_between_those_it_resembles(self, treated, brief):
        # Two drugs with shifts of 2 and 4 along the first axis, given by their descriptors.
        rng = np.random.default_rng(0)
        condition = np.repeat(["control", "weak", "strong"], 80)
        states = rng.normal(size=(240, 3))
        states[:, 0] += np.repeat([0.0, 2.0, 4.0], 80)
        treated.obs["condition"] = condition
        treated.obsm["X_pca"] = states
        treated.uns["potency"] = {"weak": [2.0], "strong": [4.0], "middle": [3.0]}
        fit = ("condition", "control", ["weak", "strong"])
        sdo.tl.fit_response(treated, *fit, target_embedding="potency", **brief)
        shift = {
            t: np.nanmean(predict(treated, target=t)[:, 0]) - states[:80, 0].mean()
            for t in treated.uns["potency"]
        }
        # standard error of means of 80 cells: 0.16
        assert shift["weak"] == pytest.approx(2, abs=0.6)
        assert shift["strong"] == pytest.approx(4, abs=0.6)
        assert shift["middle"] == pytest.approx(3, abs=0.6)
        with pytest.raises(KeyError, match="does not describe 'new'"):
            sdo.tl.predict_response(treated, target="new")


class TestDoses:
    @pytest.fixture
    def dose_adata(self, treat, brief):
        adata = treat(doses=(0.1, 1.0, 10.0), n_obs=480)
        # the dose of controls may be missing
        adata.obs["dose"] = np.where(controls(adata), "none", adata.obs["dose"].astype(str))
        sdo.tl.fit_response(adata, *GROUPS, dose_key="dose", **brief | {"n_steps": 100})
        return adata

    def test_none_does_nothing(self, dose_adata):
        cells = controls(dose_adata)
        start = np.asarray(dose_adata.obsm["X_pca"])[cells]
        assert predict(dose_adata, dose=0)[cells] == pytest.approx(start, abs=1e-4)

    def test_more_does_more(self, dose_adata):
        cells = controls(dose_adata)
        start = np.asarray(dose_adata.obsm["X_pca"])[cells]
        doses = (0, 0.03, 0.1, 0.3, 1, 3, 10)
        lengths = [
            np.linalg.norm((predict(dose_adata, dose=d)[cells] - start).mean(axis=0)) for d in doses
        ]
        assert (np.diff(lengths) > 0).all()

    def test_highest_is_the_default(self, dose_adata):
        assert np.array_equal(predict(dose_adata), predict(dose_adata, dose=10.0), equal_nan=True)

    def test_inverse_takes_the_cells_of_the_dose(self, dose_adata):
        adata = dose_adata.copy()
        sdo.tl.predict_response(adata, inverse=True, dose=1.0)
        result = np.isfinite(adata.obsm["scdiffot_untreated"][:, 0])
        assert np.array_equal(result, adata.obs["dose"] == "1.0")

    def test_inverse_of_a_dose_of_no_cells(self, dose_adata, fingerprint):
        previous = fingerprint(dose_adata)
        with pytest.raises(
            ValueError, match="`dose` is 0.5, at which no cell of 'drug' was treated"
        ):
            sdo.tl.predict_response(dose_adata, inverse=True, dose=0.5)
        assert fingerprint(dose_adata) == previous
        every = np.ones(dose_adata.n_obs, bool)
        assert np.isfinite(
            sdo.tl.predict_response(
                dose_adata, inverse=True, dose=0.5, source=every, copy=True
            ).obsm["scdiffot_untreated"]
        ).all()

    @pytest.mark.parametrize(
        ("dose", "error", "message"),
        [
            (
                11.0,
                ValueError,
                "`dose` is 11.0: 'drug' was seen at 0.1, 1.0, 10.0; pass a dose from 0 to 10",
            ),
            (-1.0, ValueError, "`dose` is -1.0"),
            (float("nan"), ValueError, "`dose` is nan"),
            ("high", TypeError, "`dose` is a str: pass a number"),
        ],
    )
    def test_nonsense(self, dose_adata, dose, error, message):
        with pytest.raises(error, match=message):
            sdo.tl.predict_response(dose_adata, dose=dose)

    def test_of_a_model_that_knows_none(self, fitted_response):
        with pytest.raises(ValueError, match="`dose` was given, but the model knows no doses"):
            sdo.tl.predict_response(fitted_response, dose=1.0)

    def test_convex_maps_know_none_between(self, treat, brief):
        adata = treat(doses=(1.0, 10.0), n_obs=240)
        sdo.tl.fit_response(adata, *GROUPS, dose_key="dose", method="convex", **brief)
        assert not np.array_equal(
            predict(adata, dose=1.0), predict(adata, dose=10.0), equal_nan=True
        )
        with pytest.raises(ValueError, match="fitted to, and none between"):
            sdo.tl.predict_response(adata, dose=3.0)


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data will no longer be the default")
@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
@pytest.mark.slow
def test_another_process_predicts_the_same(treated, brief, tmp_path, suffix):
    fits = {
        "flow": {"context": "donor"},
        "unbalanced": {"unbalanced": True, "mass": {"drug": 0.8}},
        "convex": {"method": "convex"},
        "dose": {"dose_key": "dose", "rng": np.random.default_rng(0)},
    }
    for key, options in fits.items():
        sdo.tl.fit_response(treated, *GROUPS, key_added=key, **brief | options)
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
def test_mudata(treated, brief, prefix):
    mudata = pytest.importorskip("mudata")
    rna, other = treated.copy(), treated[::-1, :3].copy()
    other.var_names = [f"peak{i}" for i in range(3)]
    options = getattr(mudata, "set_options", None)
    with options(pull_on_update=False) if options else nullcontext():
        combined = mudata.MuData({"rna": rna, "atac": other})
    combined.obs["condition"] = rna.obs["condition"]
    sdo.tl.fit_response(
        combined, f"{prefix}condition", "control", "drug", use_rep="rna:X_pca", **brief
    )
    sdo.tl.predict_response(combined, genes=True)
    sdo.tl.fit_response(treated, *GROUPS, **brief)
    sdo.tl.predict_response(treated, genes=True)
    assert np.array_equal(
        combined.obsm["scdiffot_predicted"], treated.obsm["scdiffot_predicted"], equal_nan=True
    )
    layer = combined["rna"].layers["scdiffot_predicted"]
    assert np.array_equal(layer, treated.layers["scdiffot_predicted"], equal_nan=True)


def test_backed(treated, brief, tmp_path):
    treated.write_h5ad(tmp_path / "cells.h5ad")
    backed_adata = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    for adata in (treated, backed_adata):
        sdo.tl.fit_response(adata, *GROUPS, **brief)
        sdo.tl.predict_response(adata)
    assert np.array_equal(
        backed_adata.obsm["scdiffot_predicted"], treated.obsm["scdiffot_predicted"], equal_nan=True
    )
    backed_adata.file.close()


def test_sparse_expression_as_states(treated, brief):
    loose = treated.copy()
    loose.X = sparse.csr_matrix(loose.X)
    for adata in (treated, loose):
        sdo.tl.fit_response(adata, *GROUPS, use_rep="X", **brief)
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
