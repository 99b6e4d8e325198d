"""Layouts of all entries of `uns` except models, whose classes define their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils import keys as _keys
from scdiffot._utils.layout_types import (
    FLAG,
    NUMBER,
    POSITIVE,
    TEXT,
    Array,
    Each,
    Json,
    Record,
    Scalar,
    Table,
)

if TYPE_CHECKING:
    from scdiffot._utils.layout_types import Layout

TINY = float(np.nextafter(0, 1))
_TIMES = Array(("T",), increasing=True)

# Of `tl.fit`
FIT_PARAMS = Record(
    {
        "time_key": TEXT,
        "use_rep": TEXT,
        "n_dims": Scalar("whole", low=1),
        "spatial_key": TEXT,
        "spatial_unit": POSITIVE,
        "time_map": Json(dict, ("",)),
        "mass": Json(dict, ("equal", "n_cells")),
        "growth_prior": TEXT,
        "held_out": Array(("H",)),
        "times": _TIMES,
        "masses": Array(("T",), low=TINY),
    },
    {"decoder": TEXT},
)
_LOSS = Array(("S",), low=-1e37, high=1e37, nan=True)
FIT_HISTORY = Record(
    {
        **dict.fromkeys(("step", "loss", "loss_flow", "loss_growth", "loss_score"), _LOSS),
        **dict.fromkeys(("times", "w1", "w1_floor"), Array(("T",), low=-1e37, high=1e37, nan=True)),
    },
    {
        "stage": Array(("S",), "text"),
        **dict.fromkeys(("loss_error", "loss_mismatch", "loss_penalty"), _LOSS),
    },
)

# Of `tl.fit_response`
RESPONSE_PARAMS = Record(
    {
        "condition_key": TEXT,
        "control": TEXT,
        "targets": Array(("K",), "text"),
        "doses": Json(list),
        "context": TEXT,
        "dose_key": TEXT,
        "use_rep": TEXT,
        "n_dims": Scalar("whole", low=1),
        "mass": Json(object),
        "target_embedding": TEXT,
        "embedding": Array(("K", "e")),
        "embedding_shift": Array(("e",)),
        "embedding_scale": Array(("e",), low=TINY),
    },
    {"decoder": TEXT},
)

# Of `pp.autoencoder`
AUTOENCODER = Record(
    {"params": Record({"n_latent": Scalar("whole", low=1)}), "genes": Array(("G",), "text")}
)

# Of `tl.align_slices`
ALIGNMENT = Record(
    {
        "table": Table(
            {
                **dict.fromkeys(("slice", "reference", "neighbor"), "text"),
                **dict.fromkeys(("angle", "shift_x", "shift_y", "score", "overlap"), "number"),
                **dict.fromkeys(("reflected", "partial", "deformed"), "flag"),
            },
            "L",
        ),
        "rotation": Array(("L", 2, 2)),
        "shift": Array(("L", 2)),
    },
    {
        "runner_up_rotation": Array(("L", 2, 2), nan=True),
        "runner_up_shift": Array(("L", 2), nan=True),
        "warps": Record(
            {
                "slice": Array(("W",), "whole", low=0),
                "n_knots": Array(("W",), "whole", low=1),
                "knots": Array(("k", 2)),
                "displacements": Array(("k", 2)),
                "smoothing": Array(("W",), low=0),
                "scale": Array(("W",), low=TINY),
            }
        ),
    },
)

_GRID = Array(("T", "y", "x"), nan=True, infinite=True)
_GROUPED = Array(("K", "G", "G"), nan=True)
_TREND = Array(("F", "S", "G"), nan=True)
_SHARES = Array(("K", "F"), nan=True)
_OF_GENE = Array(("G",), nan=True, infinite=True)
_PERTURBATION = Record(
    {
        **dict.fromkeys(("name", "kind", "cell_key"), TEXT),
        "values": Array(("V",), nan=True),
        "sustained": FLAG,
        "sources": Array(("K",), "text"),
        "fates": Array(("F",), "text"),
        **dict.fromkeys(
            ("control", "control_se", "perturbed", "perturbed_se", "shift", "se", "p_adjusted"),
            _SHARES,
        ),
        "mass_ratio": Array(("K",), nan=True, infinite=True),
    },
    {
        "p": _SHARES,
        "n_cells": Array(("K",), "whole"),
        **dict.fromkeys(("mass_se", "mass_p"), Array(("K",), nan=True, infinite=True)),
        "cells": Array(("n",), "text"),
        **dict.fromkeys(("cell_shift", "cell_se"), Array(("n", "F"), nan=True)),
        "cell_ratio": Array(("n",), nan=True, infinite=True),
    },
)

# Beside a fit, by name
RESULTS: dict[str, Layout] = {
    _keys.VALIDATION: Table(
        dict.fromkeys(("w1", "w1_mccann", "w1_previous", "w1_next", "w1_floor"), "number")
    ),
    _keys.FATE: Record(
        {
            "cell_key": TEXT,
            "target_time": NUMBER,
            "classes": Array(("C",), "text"),
            "flow_times": _TIMES,
            "flow_classes": Array(("F",), "text"),
            "flow_masses": Array(("T", "F"), low=0),
            "flows": Array(("T-1", "F", "F"), low=0),
        }
    ),
    _keys.ANCESTRY: Record(
        {
            "cell_key": TEXT,
            "weighted": FLAG,
            "types": Array(("D",), "text"),
            "source_types": Array(("S",), "text"),
            "composition": Table({}, "D"),
        }
    ),
    _keys.LANDSCAPE: Record(
        {
            "basis": TEXT,
            "times": _TIMES,
            "x": Array(("x",), increasing=True),
            "y": Array(("y",), increasing=True),
            "potential": _GRID,
        },
        {
            "lambda": _GRID,
            "cell_key": TEXT,
            "basins": Table(
                {"type": "text", **dict.fromkeys(("time", "x", "y", "depth"), "number")}
            ),
            "barriers": Table(
                {"from": "text", "to": "text", "time": "number", "barrier": "number"}
            ),
        },
    ),
    _keys.REGULATION: Record(
        {
            "genes": Array(("G",), "text"),
            "groups": Array(("K",), "text"),
            "times": Array(("K",), nan=True),
            **dict.fromkeys(("mean", "sd", "stability"), _GROUPED),
            "threshold": NUMBER,
        }
    ),
    _keys.GROWTH_GENES: Table(
        {
            **dict.fromkeys(("gene", "group"), "text"),
            **dict.fromkeys(("time", "mean", "sd", "stability", "effect"), "number"),
        }
    ),
    _keys.TRAJECTORY_GENES: Record(
        {
            "cell_key": TEXT,
            "times": Array(("S",), increasing=True),
            "genes": Array(("G",), "text"),
            "fates": Array(("F",), "text"),
            **dict.fromkeys(("mean", "low", "high"), _TREND),
            "ranking": Table({"gene": "text", "fate": "text", "effect": "number"}),
        }
    ),
    _keys.PERTURBATION: Each(_PERTURBATION),
    _keys.PERTURB_SCREEN: Record(
        {
            "gene": Array(("G",), "text"),
            "partner": Array(("G",), "text"),
            **dict.fromkeys(("effect", "se", "p_adjusted"), _OF_GENE),
            "fates": Array(("F",), "text"),
            **dict.fromkeys(("shift", "shift_se"), Array(("G", "F"), nan=True)),
            **dict.fromkeys(("fate", "kind", "cell_key"), TEXT),
            "sustained": FLAG,
        },
        {
            **dict.fromkeys(("p", "mass_ratio", "mass_se", "mass_p", "outside"), _OF_GENE),
            "n_trajectories": Array(("G",), "whole"),
        },
    ),
}

# Tables beside a response, by the end of their name
RESPONSE_TABLES: dict[str, Layout] = {
    "response_evaluation": Table({"metric": "text", "value": "number"}),
    "response_subpopulations": Table({"group": "text", "groupby": "text"}),
    "response_features": Table({"group": "text", "gene": "text"}),
}
