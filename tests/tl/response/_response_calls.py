"""Calls of the response tools that several tests share."""

from __future__ import annotations

import numpy as np

import scdiffot as sdo

GROUPS = ("condition", "control", "drug")
EVALUATION = "scdiffot_response_evaluation"
# An evaluation in seconds: the scores are imprecise, their layout is the same.
QUICK_EVALUATION = {
    "config": {"train": {"n_steps": 5}, "coupling": {"n_landmarks": 100}},
    "metric": "euclidean",
    "n_boot": 5,
    "show_progress": False,
}


def controls(adata):
    return (adata.obs["condition"] == "control").to_numpy()


def predict(adata, **options):
    return np.asarray(
        sdo.tl.predict_response(adata, copy=True, **options).obsm["scdiffot_predicted"]
    )


def evaluate(adata, **options):
    sdo.tl.evaluate_response(
        adata, "condition", "control", **{"target": "drug", **QUICK_EVALUATION, **options}
    )
    return adata.uns[EVALUATION]
