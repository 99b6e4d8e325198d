"""Strategies for the options of public functions: valid and invalid values that users pass."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from _parameter_values import FLAGS, INF, NAN, NUMBERS, PLAIN
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData


WRONG_INTEGERS = [0, -1, 2.5, "3", NAN, True, [2], None]
WRONG_NUMBERS = [-1.0, 0, NAN, INF, -INF, 1e300, "x", True, [0.5], None]
RIGHT_NUMBERS = [0.1, 0.5, 1, np.float32(0.5), np.float64(0.25)]
WRONG_FLAGS = ["yes", None, 2, 0.5]
WRONG_TEXTS = ["nonsense", "", 3, None, ["time"], "a/b"]
SEEDS = [0, 7, np.int64(3)]
WRONG_SEEDS = [-1, 2.5, "seed", True, np.random.RandomState(0)]


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
    """Changes of expression, for `tl.perturb`."""
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
    """Axes and other objects; the tests close the figures."""
    import matplotlib.pyplot as plt

    figure, many = plt.subplots(1, 3)
    return [None, None, None, figure.axes[0], many, list(many), list(many[:2]), "axis", [], figure]


def values(function: Callable, name: str, adata: AnnData | None) -> st.SearchStrategy:
    """Values of one parameter: those listed here, otherwise by its annotation, and invalid ones."""
    parameter = inspect.signature(function).parameters[name]
    annotation = str(parameter.annotation)
    special = _special(name, function.__name__, adata)
    if special is not None:
        return st.sampled_from(special)
    literals = re.findall(r"'([^']*)'", "".join(re.findall(r"Literal\[[^\]]*\]", annotation)))
    if literals:
        valid: list[Any] = [
            *literals,
            *(NUMBERS.get(name, RIGHT_NUMBERS) if re.search("float|int", annotation) else []),
        ]
        return _mix(valid, [*WRONG_TEXTS, *WRONG_NUMBERS])
    if annotation.startswith("bool"):
        return _mix(FLAGS, WRONG_FLAGS)
    if name in NUMBERS or re.match(r"int\b", annotation):
        return _mix(NUMBERS.get(name, [1, 2, np.int64(3)]), WRONG_INTEGERS)
    if re.match(r"float\b", annotation):
        return _mix(RIGHT_NUMBERS, WRONG_NUMBERS)
    raise NotImplementedError(
        f"{function.__module__}: list the values of users for {name} ({annotation})"
    )


def _mix(valid: list[Any], invalid: list[Any]) -> st.SearchStrategy:
    """Values of which about 70 % are valid."""
    return st.integers(0, 9).flatmap(lambda k: st.sampled_from(valid if k < 7 else invalid))


def _special(name: str, function: str, adata: AnnData | None) -> list[Any] | None:
    """Values of parameters that are neither plain numbers, flags nor choices; None for others."""
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
    if name == "rng":
        return [*SEEDS, np.random.default_rng(0), *WRONG_SEEDS]
    return PLAIN.get(name)
