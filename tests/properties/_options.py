"""Values that users give to the parameters of public functions, right ones and wrong ones."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

NAN, INF = float("nan"), float("inf")

# Right values of numbers where they are not evident, small enough to be quick.
NUMBERS: dict[str, list[Any]] = {
    "n_steps": [1, 2, np.int64(3)],
    "n_trajectories": [2, 4, np.int32(3)],
    "n_particles": [1, 5, np.int64(7)],
    "n_cells": [1, 10, 1000],
    "n_times": [2, 4],
    "n_obs": [20, 60, np.int64(40)],
    "n_grid": [10, 12],
    "n_max": [1, 20],
    "n_starts": [4],
    "n_init": [1, 2],
    "n_boot": [0, 3],
    "n_splits": [1, 2],
    "n_dims": [1, 2, 3, np.int64(2)],
    "n_latent": [1, 2],
    "n_neighbors": [1, 3, 5, 30],
    "n_hidden": [4, 16],
    "n_layers": [1, 2],
    "n_landmarks": [10, 40],
    "batch_size": [8, 32],
    "max_epochs": [1, 2],
    "patience": [1, 5],
    "n_genes": [1, 30, 35],
    "n_types": [1, 2],
    "n_fates": [2, 3],
    "n_donors": [1, 2],
    "n_paths": [2, 5],
    "n_domains": [1, 2, 3],
    "n_clusters": [1, 2, 3],
    "n_held_out": [1, 3],
    "n_components": [1, 2, "auto", None],
    "n_hops": [1, 2],
    "p": [1, 2],
    "ncols": [1, 3],
    "at": [0.25, 0.5, np.float32(0.5)],
    "dose": [0.5, 1.0, 1],
}
WRONG_INTEGERS = [0, -1, 2.5, "3", NAN, True, [2], None]
WRONG_NUMBERS = [-1.0, 0, NAN, INF, -INF, 1e300, "x", True, [0.5], None]
RIGHT_NUMBERS = [0.1, 0.5, 1, np.float32(0.5), np.float64(0.25)]
FLAGS = [True, False, np.True_, np.False_]
WRONG_FLAGS = ["yes", None, 2, 0.5]
WRONG_TEXTS = ["nonsense", "", 3, None, ["time"], "a/b"]
SEEDS = [0, 7, np.int64(3)]
WRONG_SEEDS = [-1, 2.5, "seed", True, np.random.RandomState(0)]
TIMES = [
    0,
    1,
    2.0,
    "0",
    "1",
    "2",
    "1.0",
    np.float32(1),
    7,
    "day1",
    NAN,
    INF,
    True,
    "x",
    [0],
    -0.0,
    "time",
]
TIME_LISTS = [None, [0.0, 1.0], (1,), np.array([1.0]), ["1"], [], "1", 1, [9], [NAN], [[0]], {1}]
COLUMNS = [
    "cell_type",
    "batch",
    "time",
    "time_label",
    "true_growth",
    "missing",
    "",
    None,
    3,
    "donor",
    "subpopulation",
    "slice",
]
BASES = [None, "umap", "X_umap", "pca", "X_pca", "spatial", "nowhere", 3, "scdiffot_velocity"]
KEYS = ["scdiffot", "scdiffot", "scdiffot", "other", "", ".", "a/b", 3, "pca"]
NEW_KEYS = ["scdiffot", "second", "", ".", "..", "a/b", 3, None, "pca", "X_pca", "x" * 300, "nul\0"]


def sources(adata: AnnData) -> list[Any]:
    """Selections of cells."""
    names = adata.obs_names
    mask = np.arange(adata.n_obs) % 3 == 0
    return [
        *(None, 0, 0.0, 1, "0", "0.0", "1", "5", "day", "nan", True, NAN, 3.5, np.float32(1)),
        *(
            "time < 2",
            "cell_type == cell_type",
            "time",
            "time + 1",
            "@adata",
            "missing > 1",
            "time <",
            "__import__('os')",
        ),
        *(str(names[0]), list(names[:3]), names[:4], list(names[:2]) * 2, ["nobody"], [], [0, 1]),
        *(
            mask,
            ~mask,
            mask & False,
            mask[:5],
            mask.tolist(),
            mask.astype(int),
            mask.astype(object),
        ),
        *(
            pd.Series(mask, names),
            pd.Series(mask, names)[::-1],
            mask[:, None],
            {str(names[0])},
            "batch == 'one'",
        ),
        *("condition == 'control'", "control", "drug"),
    ]


def gene_lists(adata: AnnData) -> list[Any]:
    """Names of genes."""
    names = adata.var_names
    return [
        *(
            None,
            str(names[0]),
            list(names[:2]),
            tuple(names[:3]),
            names[:2],
            np.array(names[:2]),
            set(names[:2]),
        ),
        *(
            [],
            [str(names[0])] * 2,
            "nothing",
            ["nothing"],
            [3],
            3,
            True,
            False,
            names[:1].tolist() + ["x"],
            "Gene1",
            "",
        ),
    ]


def changes(adata: AnnData) -> list[Any]:
    """Changes of genes."""
    a, b = (str(name) for name in adata.var_names[:2])
    return [
        *(a, [a], [a, b], {a: 0.0}, {a: None, b: 1.5}, {a: np.float32(1)}, {a: 1}),
        *(
            {},
            [],
            {a: NAN},
            {a: INF},
            {a: "high"},
            {a: True},
            {"nothing": 0.0},
            "nothing",
            3,
            None,
            {3: 1.0},
            [a, a],
            {a: -1e30},
        ),
    ]


def axes() -> list[Any]:
    """Axes, and what is none; figures are closed by the tests."""
    import matplotlib.pyplot as plt

    figure, many = plt.subplots(1, 3)
    return [None, None, None, figure.axes[0], many, list(many), list(many[:2]), "axis", [], figure]


def values(function: Callable, name: str, adata: AnnData | None) -> st.SearchStrategy:
    """Values of one parameter: of those named here, else of what its annotation allows, and others."""
    parameter = inspect.signature(function).parameters[name]
    annotation = str(parameter.annotation)
    special = _special(name, function.__name__, adata)
    if special is not None:
        return st.sampled_from(special)
    literals = re.findall(r"'([^']*)'", "".join(re.findall(r"Literal\[[^\]]*\]", annotation)))
    if literals:
        right: list[Any] = [
            *literals,
            *(NUMBERS.get(name, RIGHT_NUMBERS) if re.search("float|int", annotation) else []),
        ]
        return _mostly(right, [*WRONG_TEXTS, *WRONG_NUMBERS])
    if annotation.startswith("bool"):
        return _mostly(FLAGS, WRONG_FLAGS)
    if name in NUMBERS or re.match(r"int\b", annotation):
        return _mostly(NUMBERS.get(name, [1, 2, np.int64(3)]), WRONG_INTEGERS)
    if re.match(r"float\b", annotation):
        return _mostly(RIGHT_NUMBERS, WRONG_NUMBERS)
    raise NotImplementedError(
        f"{function.__module__}: say what users give for {name} ({annotation})"
    )


def _mostly(right: list[Any], wrong: list[Any]) -> st.SearchStrategy:
    """Of ten values, about seven are right."""
    return st.integers(0, 9).flatmap(lambda k: st.sampled_from(right if k < 7 else wrong))


def _special(name: str, function: str, adata: AnnData | None) -> list[Any] | None:
    """Values of parameters that are neither plain numbers, flags nor choices."""
    plain: dict[str, list[Any]] = {
        "rng": [*SEEDS, np.random.default_rng(0), *WRONG_SEEDS],
        "device": ["cpu", "cpu", "auto", "cuda:99", "nowhere", 3, None, torch.device("cpu")],
        "key": KEYS,
        "key_added": NEW_KEYS,
        "name": [None, "first", "", ".", "..", "a/b", 3, "x|y", "nul\0"],
        "show_progress": [False, False, True],
        "copy": [True, False, False],
        "show": [None, False],
        "return_fig": [True, False],
        "time_key": ["time", "time", "time_label", "cell_type", "missing", 3, None],
        "time_map": [
            None,
            None,
            {0: 0, 1: 2, 2: 3},
            {"0": 1},
            {},
            "auto",
            [1],
            {0: 0, 1: NAN, 2: 1},
            {0: 0, 1: 0, 2: 1},
        ],
        "mass": [
            *("n_cells", None, "n_spots", "equal", 3, {}),
            *(
                {0: 1, 1: 2, 2: 3},
                {0: 1, 1: 2},
                {0: 1, 1: 0, 2: 1},
                {0: 1, 1: NAN, 2: 1},
                {0: 1e-12, 1: 1e300, 2: 1},
            ),
            *({"control": 1.0, "drug": 0.5}, {"s0": 1.0, "s1": 2.0}, {"control": "x"}),
        ],
        "growth_prior": [None, "true_growth", "missing", "cell_type", 3, np.zeros(5), [0.1]],
        "held_out": [None, 1, "1", [1], [], [1, 2], 9, "x", "donor_1", ["donor_1"], NAN],
        "held_out_key": [None, "donor", "missing", 3],
        "target_time": [None, *TIMES],
        "time": TIMES,
        "times": [*TIME_LISTS, *TIMES],
        "t0": [None, *TIMES],
        "t1": [None, *TIMES],
        "save_times": TIME_LISTS,
        "cell_key": ["cell_type", "cell_type", "subpopulation", *COLUMNS],
        "cell_keys": [None, "cell_type", ["cell_type"], "slice", "missing", [], 3],
        "groupby": COLUMNS,
        "color": [*COLUMNS, "true_growth", np.zeros(3)],
        "context": [None, "donor", "subpopulation", "missing", 3, "auto", "dose"],
        "condition_key": [*["condition"] * 6, "donor", "missing", 3, None],
        "control": [*["control"] * 6, "drug", "missing", 3, None],
        "target": [*["drug"] * 6, ["drug"], None, "control", "missing", [], 3],
        "dose_key": [None, "dose", "missing", "donor", 3, "auto"],
        "target_embedding": [None, "missing", 3],
        "truth": [None, "true_response", "missing", 3],
        "methods": [None, "flow", ("flow",), ["mean_shift", "gaussian"], "magic", [], 3],
        "metrics": [None, "mmd", ["mmd"], "magic", [], 3],
        "use_rep": [
            "X_pca",
            "X_pca",
            "X",
            "pca",
            "X_umap",
            "counts",
            "missing",
            3,
            None,
            "rna:X_pca",
            "scdiffot_fate",
        ],
        "basis": BASES,
        "spatial_key": [None, "spatial", "spatial", "X_umap", "missing", 3],
        "library_key": ["slice", "slice", "slice", "slice", None, "time", "missing", 3],
        "reference": [None, "s0", "s1", "s9", 3],
        "between": [("s0", "s1"), ("s1", "s0"), ["s0"], ("s0", "s0"), "s0", (), 3, ("s0", "x")],
        "depth": [
            None,
            {"s0": 0.0, "s1": 2.0},
            {"s0": 0},
            "time",
            "missing",
            {"s0": NAN, "s1": 1.0},
            3,
        ],
        "connectivity_key": [None, "missing", "connectivities", 3],
        "domain_key": [None, "scdiffot_domain", "missing", 3],
        "layer": [None, "counts", "state", "missing", 3],
        "layers": [None, "counts", ["missing"], [], 3],
        "mask_var": [None, "driver", "missing", np.ones(3, bool), 3],
        "channels": [("mean",), "mean", ["mean", "difference"], "magic", [], 3],
        "decoder": [None, None, None, "pca", 3, (len,), object()],
        "classifier": [None, None, "tree", 3, dict],
        "band": [(0.1, 0.9), (0.9, 0.1), (0, 1), (NAN, 1), 0.5, (0.1,), "x", None],
        "birth_rates": [(0.3, 1.7), (1.7, 0.3), (-1, 1), (NAN, 1), 1, None],
        "death_rates": [(0.3, 1.7), (1.7, 0.3), (-1, 1), (NAN, 1), 1, None],
        "fate": [None, "fate_1", "outside", "missing", 3],
        "fates": [
            None,
            ["fate_1"],
            "fate_1",
            ["missing"],
            [],
            3,
            ("fate_1", "fate_2"),
            True,
            False,
        ],
        "types": [None, ["fate_1"], "fate_1", ["missing"], [], 3],
        "sources": [None, ["progenitor"], "all", ["missing"], [], 3],
        "group": [None, "all", ["all"], "missing", [], 3, "A"],
        "slices": [None, ["s0"], "s0", ["missing"], [], 3],
        "arrows": [None, True, False, "scdiffot_migration", "X_umap", "missing", 3],
        "gene_symbols": [None, None, "symbol", "role", "missing", 3],
        "palette": [None, "tab10", ["red"], {"A": "red"}, 3],
        "targets": [("drug",), ("a", "b"), ("a", "a"), "drug", (), (3,), None],
        "doses": [(1.0,), (0.5, 1), (0,), (NAN,), (), 1.0, (1, 1), None],
    }
    if (
        function in ("misa", "gene_network", "gaussian_mixture", "regulatory_network")
        and name == "times"
    ):
        return [(0.0, 1.0), (0, 1, 2), (1, 0), (0,), (), (0, NAN), "01", None, (0, 0), (-1.0, 1.0)]
    if function == "deepruot" and name == "name":
        return ["emt", "gaussian_10d", "missing", 3, None]
    if function == "regulation" and name == "fates":
        return FLAGS
    if name in ("pairs",) and adata is not None:
        a, b = (str(gene) for gene in adata.var_names[:2])
        return [False, False, True, [(a, b)], [(a, a)], [(a, "x")], [a], [(a,)], 3]
    if adata is not None:
        if name == "source":
            return sources(adata)
        if name == "genes":
            return changes(adata) if function == "perturb" else gene_lists(adata)
        if name in ("proliferation", "apoptosis"):
            return gene_lists(adata)
    if name == "ax":
        return axes()
    return plain.get(name)
