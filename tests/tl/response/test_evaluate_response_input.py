"""Errors of the evaluation of a response for unsuitable input."""

from __future__ import annotations

import numpy as np
import pytest
from _response_calls import evaluate


def _check_unchanged(adata, fingerprint, error, match, **options):
    previous = fingerprint(adata)
    with pytest.raises(error, match=match):
        evaluate(adata, **options)
    assert fingerprint(adata) == previous


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"split": "random"}, ValueError, "`split` is 'random': pass 'iid', 'oos' or 'ood'"),
        ({"split": "oos"}, ValueError, "`context` is missing: split 'oos'"),
        ({"split": "ood"}, ValueError, "`held_out_key` is missing: split 'ood'"),
        (
            {"held_out": "donor_1"},
            ValueError,
            "`held_out` was given, which split 'iid' does not know",
        ),
        ({"held_out_key": "site"}, ValueError, "`held_out_key` was given, .* or pass 'ood'"),
        (
            {"split": "oos", "context": "donor", "n_splits": 2},
            ValueError,
            "`n_splits` is 2, but split 'oos'",
        ),
        (
            {"split": "oos", "context": "donor", "held_out": "donor_9"},
            KeyError,
            "names 'donor_9', not in .* mean 'donor_",
        ),
        (
            {"split": "ood", "held_out_key": "sites"},
            KeyError,
            "`held_out_key` is 'sites', .* Did you mean 'site'",
        ),
        (
            {"split": "ood", "held_out_key": "condition"},
            ValueError,
            "in no class: holding out one of them needs two",
        ),
        (
            {"split": "ood", "held_out_key": "condition", "held_out": "drug"},
            ValueError,
            "'drug', where control or",
        ),
        (
            {"test_size": 0.02},
            ValueError,
            "Fold '1' has 6 'control' cells to test on .* Raise `test_size`",
        ),
        (
            {"test_size": 0.99},
            ValueError,
            "Without the cells of fold '1': `condition_key` 'control' has 3 cells",
        ),
        ({"test_size": 1}, ValueError, "`test_size` is 1, which leaves nothing"),
        (
            {"methods": ["flow", "plow"]},
            ValueError,
            "`methods` is 'flow', 'plow': pass 'flow', 'convex' or both",
        ),
        ({"methods": []}, ValueError, "`methods` is empty"),
        ({"n_boot": 1}, ValueError, "`n_boot` is 1: pass at least 2"),
        ({"n_splits": 0}, ValueError, "`n_splits` is 0: pass at least 1"),
        ({"target": "control"}, ValueError, "`target` 'control' is the control"),
        ({"truth": "true_respons"}, KeyError, "`truth` is 'true_respons'"),
        ({"truth": "X_umap"}, ValueError, "`truth` 'X_umap' has shape .*: pass 6 columns"),
        (
            {"truth": "nothing"},
            ValueError,
            "`truth` is NaN, infinite or zero throughout in control cells of fold '1'",
        ),
    ],
)
def test_errors_change_nothing(cells, fingerprint, options, error, match):
    cells.obsm["X_umap"] = cells.obsm["X_pca"][:, :2].copy()
    cells.obsm["nothing"] = np.zeros_like(cells.obsm["X_pca"])
    _check_unchanged(cells, fingerprint, error, match, **options)
