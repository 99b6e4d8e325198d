"""Predictions in other data than those of the fit."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from _response_calls import GROUPS, controls, predict
from scipy import sparse

import scdiffot as sdo


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

    def test_counts_are_refused_where_states_are_logarithms(self, treated, quick_response):
        sdo.tl.fit_response(treated, *GROUPS, use_rep="X", **quick_response)
        new = treated.copy()
        new.X = np.rint(np.expm1(np.asarray(new.X)))
        with pytest.raises(ValueError, match="`adata` 'X' holds counts"):
            sdo.tl.predict_response(new, reference=treated)
        # the same for logarithms in place of counts
        sdo.tl.fit_response(new, *GROUPS, use_rep="X", **quick_response)
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

    def test_other_components_are_refused(self, fitted_response, new):
        sc.pp.pca(new, n_comps=6)
        with pytest.raises(
            ValueError, match="`adata` has a 'X_pca' with other axes than that of `reference`"
        ):
            sdo.tl.predict_response(new, reference=fitted_response)
        assert np.isfinite(predict(new, reference=fitted_response, project=True)).all()

    def test_genes_as_states_are_matched_by_name(self, treated, quick_response):
        sdo.tl.fit_response(treated, *GROUPS, use_rep="X", **quick_response)
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
