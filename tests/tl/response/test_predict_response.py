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


def predicted(adata, **options):
    return np.asarray(
        sdo.tl.predict_response(adata, copy=True, **options).obsm["scdiffot_predicted"]
    )


def test_writes_what_it_says_and_nothing_else(answered, fingerprint):
    before = fingerprint(answered)
    assert sdo.tl.predict_response(answered) is None
    cells = controls(answered)
    after, before_again = (
        answered.obsm.pop("scdiffot_predicted"),
        np.asarray(answered.obsm["X_pca"]),
    )
    response = answered.obsm.pop("scdiffot_response")
    effect = answered.obs.pop("scdiffot_effect_size")
    info = answered.uns.pop("scdiffot_prediction")
    assert (info["key"], info["target"]) == ("scdiffot", "drug")
    assert np.isnan(info["dose"])
    assert fingerprint(answered) == before
    assert after.shape == response.shape == before_again.shape
    for values in (after, response, effect.to_numpy()[:, None]):
        assert np.isfinite(values[cells]).all()
        assert np.isnan(values[~cells]).all()
    assert response[cells] == pytest.approx(after[cells] - before_again[cells], abs=1e-4)
    # least for the straight way
    assert (effect[cells] >= 0.999 * 0.5 * (response[cells] ** 2).sum(axis=1)).all()


def test_copy_leaves_the_data_unchanged(answered, fingerprint):
    before = fingerprint(answered)
    assert "scdiffot_predicted" in sdo.tl.predict_response(answered, genes=True, copy=True).obsm
    assert fingerprint(answered) == before


def test_cells_by_query_mask_and_names(answered):
    mask = (answered.obs["subpopulation"] == "type_1").to_numpy() & controls(answered)
    of_query = predicted(answered, source="subpopulation == 'type_1' and condition == 'control'")
    assert np.array_equal(np.isfinite(of_query[:, 0]), mask)
    assert np.array_equal(predicted(answered, source=mask), of_query, equal_nan=True)
    names = answered.obs_names[mask].to_numpy()
    assert np.array_equal(predicted(answered, source=names[::-1]), of_query, equal_nan=True)
    # treated cells, too, if they are asked for
    assert np.isfinite(predicted(answered, source=~controls(answered))[~controls(answered)]).all()


@pytest.mark.parametrize("option", ["inverse", "project"])
@pytest.mark.parametrize("value", [1, 0, "yes", None, [True], np.ones(2, bool)])
def test_flags_are_true_or_false(answered, fingerprint, option, value):
    before = fingerprint(answered)
    with pytest.raises(TypeError, match=f"^`{option}` is .*: pass True or False"):
        sdo.tl.predict_response(answered, **{option: value})
    assert fingerprint(answered) == before


def test_flags_of_numpy_are_flags(answered):
    sdo.tl.predict_response(answered, inverse=np.False_, project=np.False_, genes=np.False_)
    expected = answered.obsm["scdiffot_predicted"].copy()
    sdo.tl.predict_response(answered)
    np.testing.assert_array_equal(answered.obsm["scdiffot_predicted"], expected)
    sdo.tl.predict_response(answered, inverse=np.True_)
    assert "scdiffot_untreated" in answered.obsm


def test_inverse_is_of_treated_cells_by_default(answered, fingerprint):
    sdo.tl.predict_response(answered)
    before = fingerprint(answered)
    sdo.tl.predict_response(answered, inverse=True)
    untreated = answered.obsm.pop("scdiffot_untreated")
    assert answered.uns.pop("scdiffot_untreated")["target"] == "drug"
    assert fingerprint(answered) == before
    assert np.isfinite(untreated[~controls(answered)]).all()
    assert np.isnan(untreated[controls(answered)]).all()


@pytest.mark.parametrize("method", ["flow", "convex"])
def test_inverse_undoes_the_prediction(treated, brief, method):
    sdo.tl.fit_response(treated, *GROUPS, method=method, **brief | {"n_steps": 100})
    sdo.tl.predict_response(treated)
    cells = controls(treated)
    there = treated[cells].copy()
    # other states of the same cells, on purpose
    there.obsm["X_pca"] = there.obsm["scdiffot_predicted"]
    del there.obsm["scdiffot_fingerprint"]
    sdo.tl.predict_response(there, inverse=True, source=np.ones(there.n_obs, bool))
    start = treated.obsm["X_pca"][cells]
    error = np.sqrt(np.mean((there.obsm["scdiffot_untreated"] - start) ** 2))
    assert error < 0.01 * np.sqrt(start.var(axis=0).mean())


class TestSeveralPredictions:
    @pytest.fixture
    def dosed(self, treat, brief):
        adata = treat(n_obs=300, targets=("a", "b"), doses=(0.1, 10.0))
        sdo.tl.fit_response(
            adata, "condition", "control", ["a", "b"], dose_key="dose", **brief | {"n_steps": 3}
        )
        return adata

    def test_stand_side_by_side_and_know_what_they_are(self, dosed, caplog, tmp_path):
        sdo.tl.predict_response(dosed, target="b")
        plain = dosed.obsm["scdiffot_predicted"].copy()
        sdo.tl.predict_response(dosed, target="a", dose=0.1, key_added="low", genes=True)
        assert np.array_equal(dosed.obsm["scdiffot_predicted"], plain, equal_nan=True)
        assert not np.array_equal(dosed.obsm["low_predicted"], plain, equal_nan=True)
        assert dosed.uns["low_prediction"] == {"key": "scdiffot", "target": "a", "dose": 0.1}
        # the highest dose is the default
        assert dosed.uns["scdiffot_prediction"] == {"key": "scdiffot", "target": "b", "dose": 10.0}
        assert not caplog.text
        # everything that reads a prediction reads each of them, also from a file
        sdo.tl.response_subpopulations(dosed, groupby="subpopulation", key="low")
        dosed.write_h5ad(tmp_path / "a.h5ad")
        for adata in (dosed, ad.read_h5ad(tmp_path / "a.h5ad")):
            tables = {key: sdo.get.response(adata, "genes", key=key) for key in ("scdiffot", "low")}
            cells = np.isfinite(adata.obsm["low_predicted"][:, 0])
            mean = adata.to_df("low_predicted")[cells].mean()[tables["low"]["gene"]]
            np.testing.assert_allclose(tables["low"]["predicted"], mean, rtol=1e-4, atol=1e-4)
            assert not tables["low"].equals(tables["scdiffot"])
            assert len(sdo.get.response(adata, "subpopulations", key="low")) == 2

    def test_a_second_one_of_the_same_name_says_what_it_replaces(self, dosed, caplog):
        sdo.tl.predict_response(dosed, target="a")
        sdo.tl.predict_response(dosed, target="a", source="subpopulation == 'type_1'")
        assert not caplog.text
        sdo.tl.predict_response(dosed, target="a", dose=0.1)
        assert (
            "The prediction of 'a' at 10 under 'scdiffot' is replaced by that of 'a' at 0.1"
            in caplog.text
        )

    def test_a_second_fit_drops_them_all(self, dosed, brief):
        before = {*dosed.obs, *dosed.obsm, *dosed.uns}
        sdo.tl.predict_response(dosed, target="a", key_added="low", genes=True)
        sdo.tl.predict_response(dosed, target="a", inverse=True, key_added="back")
        sdo.tl.fit_response(dosed, "condition", "control", "a", **brief)
        assert {*dosed.obs, *dosed.obsm, *dosed.uns} == before
        assert not dosed.layers

    def test_not_under_the_name_of_another_response(self, dosed, brief, fingerprint):
        sdo.tl.fit_response(dosed, "condition", "control", "a", key_added="other", **brief)
        before = fingerprint(dosed)
        with pytest.raises(
            ValueError, match="`key_added` is 'other', which is the name of another response"
        ):
            sdo.tl.predict_response(dosed, target="a", key_added="other")
        assert fingerprint(dosed) == before


class TestGenes:
    def test_are_decoded_for_the_cells_alone(self, answered):
        sdo.tl.predict_response(answered, genes=True)
        layer, cells = answered.layers["scdiffot_predicted"], controls(answered)
        assert np.isnan(layer[~cells]).all()
        mean = answered.X.mean(axis=0, dtype=np.float64)
        expected = mean + answered.obsm["scdiffot_predicted"][cells] @ answered.varm["PCs"].T
        assert layer[cells] == pytest.approx(expected, abs=1e-3)

    def test_by_name(self, answered):
        sdo.tl.predict_response(answered, genes=["gene_5", "gene_2"])
        layer = answered.layers["scdiffot_predicted"]
        assert list(np.flatnonzero(np.isfinite(layer).any(axis=0))) == [1, 4]
        everything = sdo.tl.predict_response(answered, genes=True, copy=True).layers[
            "scdiffot_predicted"
        ]
        assert np.array_equal(layer[:, [1, 4]], everything[:, [1, 4]], equal_nan=True)

    def test_of_an_earlier_call_do_not_outlive_it(self, answered):
        sdo.tl.predict_response(answered, genes=True)
        sdo.tl.predict_response(answered, source="subpopulation == 'type_1'")
        assert "scdiffot_predicted" not in answered.layers

    def test_by_a_decoder_of_the_user(self, answered):
        import torch

        loadings = torch.as_tensor(answered.varm["PCs"], dtype=torch.float32)
        pair = (lambda x: x @ loadings, lambda z: z @ loadings.T)
        sdo.tl.predict_response(answered, genes=True, decoder=pair)
        expected = answered.obsm["scdiffot_predicted"] @ answered.varm["PCs"].T
        assert answered.layers["scdiffot_predicted"] == pytest.approx(
            expected, abs=1e-3, nan_ok=True
        )

    def test_in_other_data_with_another_order(self, answered):
        new = answered[controls(answered), ::-1].copy()
        del new.uns["scdiffot_response"]
        sdo.tl.predict_response(new, reference=answered, genes=["gene_3"])
        sdo.tl.predict_response(answered, genes=["gene_3"])
        expected = answered[controls(answered)].to_df("scdiffot_predicted")["gene_3"]
        assert np.array_equal(new.to_df("scdiffot_predicted")["gene_3"], expected)


class TestOtherData:
    @pytest.fixture
    def new(self, answered):
        """Control cells that know nothing of the fit, with genes in reverse order, and one more."""
        cells = answered[controls(answered)]
        names = [*answered.var_names[::-1], "extra"]
        x = np.column_stack([np.asarray(cells.X)[:, ::-1], np.ones(cells.n_obs)]).astype(np.float32)
        new = ad.AnnData(x, obs=cells.obs[["donor"]].copy())
        new.var_names = names
        return new

    def test_projected_states_are_those_of_the_fit(self, answered, new):
        sdo.tl.predict_response(answered)
        sdo.tl.predict_response(new, reference=answered, project=True)
        expected = answered.obsm["scdiffot_predicted"][controls(answered)]
        assert np.asarray(new.obsm["scdiffot_predicted"]) == pytest.approx(expected, abs=1e-3)
        assert np.array_equal(predicted(new, reference=answered), new.obsm["scdiffot_predicted"])

    def test_projected_from_sparse_expression(self, answered, new):
        dense = predicted(new, reference=answered, project=True)
        new.X = sparse.csr_matrix(new.X)
        assert predicted(new, reference=answered, project=True) == pytest.approx(dense, abs=1e-4)

    @pytest.mark.parametrize("scale", ["counts", "normalised", "scaled"])
    def test_expression_on_another_scale_is_refused(self, answered, new, fingerprint, scale):
        logarithms = np.asarray(new.X, dtype=np.float64)
        new.X = {
            "counts": np.rint(np.expm1(logarithms)),
            "normalised": np.expm1(logarithms) + 0.5,
            "scaled": (logarithms - logarithms.mean(axis=0))
            / np.maximum(logarithms.std(axis=0), 1e-6),
        }[scale]
        before = fingerprint(new)
        with pytest.raises(ValueError, match="`adata` X holds .*on another scale.*log1p"):
            sdo.tl.predict_response(new, reference=answered, project=True)
        assert fingerprint(new) == before

    def test_counts_are_refused_where_states_are_logarithms(self, treated, brief):
        sdo.tl.fit_response(treated, *GROUPS, use_rep="X", **brief)
        new = treated.copy()
        new.X = np.rint(np.expm1(np.asarray(new.X)))
        with pytest.raises(ValueError, match="`adata` 'X' holds counts"):
            sdo.tl.predict_response(new, reference=treated)
        # and logarithms, where they are counts
        sdo.tl.fit_response(new, *GROUPS, use_rep="X", **brief)
        with pytest.raises(ValueError, match="`adata` 'X' holds no counts"):
            sdo.tl.predict_response(treated, reference=new)
        assert np.isfinite(predicted(new, reference=new)[controls(new)]).all()

    def test_own_states_of_all_cells(self, answered, new):
        new.obsm["X_pca"] = np.asarray(answered.obsm["X_pca"])[controls(answered)]
        expected = predicted(answered)[controls(answered)]
        assert np.array_equal(predicted(new, reference=answered), expected)

    def test_untreated_cells_of_an_unseen_donor(self, answered, new):
        new.obsm["X_pca"] = np.asarray(answered.obsm["X_pca"])[controls(answered)] + 0.1
        new.obs["donor"] = "donor_9"
        assert np.isfinite(predicted(new, reference=answered)).all()

    def test_missing_genes(self, answered, new):
        with pytest.raises(
            KeyError, match="`adata` lacks 1 genes of the reference, for instance 'gene_7'"
        ):
            sdo.tl.predict_response(
                new[:, new.var_names != "gene_7"].copy(), reference=answered, project=True
            )

    def test_missing_representation(self, answered, new, fingerprint):
        before = fingerprint(new)
        with pytest.raises(
            KeyError, match="no 'X_pca', in which the response was fitted: pass `project=True`"
        ):
            sdo.tl.predict_response(new, reference=answered)
        assert fingerprint(new) == before

    def test_axes_of_its_own(self, answered, new):
        sc = pytest.importorskip("scanpy")
        sc.pp.pca(new, n_comps=6)
        with pytest.raises(
            ValueError, match="`adata` has a 'X_pca' with other axes than that of `reference`"
        ):
            sdo.tl.predict_response(new, reference=answered)
        assert np.isfinite(predicted(new, reference=answered, project=True)).all()

    def test_genes_as_states_are_matched_by_name(self, treated, brief):
        sdo.tl.fit_response(treated, *GROUPS, use_rep="X", **brief)
        new = treated[:, ::-1].copy()
        del new.uns["scdiffot_response"]
        # products of matrices may round otherwise
        assert predicted(new, reference=treated) == pytest.approx(
            predicted(treated), abs=1e-5, nan_ok=True
        )
        with pytest.raises(
            KeyError, match="`adata` lacks the genes 'gene_1', which the response was fitted to"
        ):
            sdo.tl.predict_response(new[:, new.var_names != "gene_1"].copy(), reference=treated)


class TestTargets:
    @pytest.fixture
    def two(self, treat, brief):
        adata = treat(targets=("drug", "other"), n_obs=360)
        sdo.tl.fit_response(
            adata, "condition", "control", ["drug", "other"], **brief | {"n_steps": 100}
        )
        return adata

    def test_of_one_model_differ_and_go_their_ways(self, two):
        states = np.asarray(two.obsm["X_pca"])
        start = states[controls(two)].mean(axis=0)
        for target in ("drug", "other"):
            shift = np.nanmean(predicted(two, target=target), axis=0) - start
            true = states[two.obs["condition"] == target].mean(axis=0) - start
            # the mean of 120 cells, and 100 steps only
            assert np.linalg.norm(shift - true) < 0.35 * np.linalg.norm(true)

    def test_must_be_named(self, two):
        with pytest.raises(
            ValueError, match="`target` is missing: the model knows 'drug', 'other'"
        ):
            sdo.tl.predict_response(two)
        with pytest.raises(KeyError, match=r"`target` is 'othr', .* Did you mean 'other'\?"):
            sdo.tl.predict_response(two, target="othr")

    def test_inverse_takes_the_cells_of_the_target(self, two):
        sdo.tl.predict_response(two, target="other", inverse=True)
        found = np.isfinite(two.obsm["scdiffot_untreated"][:, 0])
        assert np.array_equal(found, two.obs["condition"] == "other")

    def test_unseen_one_lies_between_those_it_resembles(self, treated, brief):
        # Two drugs that push along the first axis by 2 and 4; their descriptors say so.
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
            t: np.nanmean(predicted(treated, target=t)[:, 0]) - states[:80, 0].mean()
            for t in treated.uns["potency"]
        }
        # means of 80 cells: 0.16
        assert shift["weak"] == pytest.approx(2, abs=0.6)
        assert shift["strong"] == pytest.approx(4, abs=0.6)
        assert shift["middle"] == pytest.approx(3, abs=0.6)
        with pytest.raises(KeyError, match="does not describe 'new'"):
            sdo.tl.predict_response(treated, target="new")


class TestDoses:
    @pytest.fixture
    def dosed(self, treat, brief):
        adata = treat(doses=(0.1, 1.0, 10.0), n_obs=480)
        # controls may have no number at all
        adata.obs["dose"] = np.where(controls(adata), "none", adata.obs["dose"].astype(str))
        sdo.tl.fit_response(adata, *GROUPS, dose_key="dose", **brief | {"n_steps": 100})
        return adata

    def test_none_does_nothing(self, dosed):
        cells = controls(dosed)
        start = np.asarray(dosed.obsm["X_pca"])[cells]
        assert predicted(dosed, dose=0)[cells] == pytest.approx(start, abs=1e-4)

    def test_more_does_more(self, dosed):
        cells = controls(dosed)
        start = np.asarray(dosed.obsm["X_pca"])[cells]
        doses = (0, 0.03, 0.1, 0.3, 1, 3, 10)
        lengths = [
            np.linalg.norm((predicted(dosed, dose=d)[cells] - start).mean(axis=0)) for d in doses
        ]
        assert (np.diff(lengths) > 0).all()

    def test_highest_is_the_default(self, dosed):
        assert np.array_equal(predicted(dosed), predicted(dosed, dose=10.0), equal_nan=True)

    def test_inverse_takes_the_cells_of_the_dose(self, dosed):
        adata = dosed.copy()
        sdo.tl.predict_response(adata, inverse=True, dose=1.0)
        found = np.isfinite(adata.obsm["scdiffot_untreated"][:, 0])
        assert np.array_equal(found, adata.obs["dose"] == "1.0")

    def test_inverse_of_a_dose_of_no_cells(self, dosed, fingerprint):
        before = fingerprint(dosed)
        with pytest.raises(
            ValueError, match="`dose` is 0.5, at which no cell of 'drug' was treated"
        ):
            sdo.tl.predict_response(dosed, inverse=True, dose=0.5)
        assert fingerprint(dosed) == before
        every = np.ones(dosed.n_obs, bool)
        assert np.isfinite(
            sdo.tl.predict_response(dosed, inverse=True, dose=0.5, source=every, copy=True).obsm[
                "scdiffot_untreated"
            ]
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
    def test_nonsense(self, dosed, dose, error, message):
        with pytest.raises(error, match=message):
            sdo.tl.predict_response(dosed, dose=dose)

    def test_of_a_model_that_knows_none(self, answered):
        with pytest.raises(ValueError, match="`dose` was given, but the model knows no doses"):
            sdo.tl.predict_response(answered, dose=1.0)

    def test_convex_maps_know_none_between(self, treat, brief):
        adata = treat(doses=(1.0, 10.0), n_obs=240)
        sdo.tl.fit_response(adata, *GROUPS, dose_key="dose", method="convex", **brief)
        assert not np.array_equal(
            predicted(adata, dose=1.0), predicted(adata, dose=10.0), equal_nan=True
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
    with np.load(out) as found:
        for key in fits:
            sdo.tl.predict_response(treated, key=key)
            assert np.array_equal(found[key], treated.obsm[f"{key}_predicted"], equal_nan=True)
        assert np.array_equal(found["survival"], treated.obs["unbalanced_survival"], equal_nan=True)


@pytest.mark.parametrize("prefix", ["", "rna:"])
def test_mudata(treated, brief, prefix):
    mudata = pytest.importorskip("mudata")
    rna, other = treated.copy(), treated[::-1, :3].copy()
    other.var_names = [f"peak{i}" for i in range(3)]
    options = getattr(mudata, "set_options", None)
    with options(pull_on_update=False) if options else nullcontext():
        both = mudata.MuData({"rna": rna, "atac": other})
    both.obs["condition"] = rna.obs["condition"]
    sdo.tl.fit_response(both, f"{prefix}condition", "control", "drug", use_rep="rna:X_pca", **brief)
    sdo.tl.predict_response(both, genes=True)
    sdo.tl.fit_response(treated, *GROUPS, **brief)
    sdo.tl.predict_response(treated, genes=True)
    assert np.array_equal(
        both.obsm["scdiffot_predicted"], treated.obsm["scdiffot_predicted"], equal_nan=True
    )
    layer = both["rna"].layers["scdiffot_predicted"]
    assert np.array_equal(layer, treated.layers["scdiffot_predicted"], equal_nan=True)


def test_backed(treated, brief, tmp_path):
    treated.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    for adata in (treated, backed):
        sdo.tl.fit_response(adata, *GROUPS, **brief)
        sdo.tl.predict_response(adata)
    assert np.array_equal(
        backed.obsm["scdiffot_predicted"], treated.obsm["scdiffot_predicted"], equal_nan=True
    )
    backed.file.close()


def test_sparse_expression_as_states(treated, brief):
    loose = treated.copy()
    loose.X = sparse.csr_matrix(loose.X)
    for adata in (treated, loose):
        sdo.tl.fit_response(adata, *GROUPS, use_rep="X", **brief)
    assert np.array_equal(predicted(loose), predicted(treated), equal_nan=True)


def test_errors_write_nothing(answered, fingerprint):
    before = fingerprint(answered)
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
            sdo.tl.predict_response(answered, **options)
    with pytest.raises(ValueError, match="`adata` is a view"):
        sdo.tl.predict_response(answered[:50])
    assert fingerprint(answered) == before
