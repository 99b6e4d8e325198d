"""Queries of `obs`: comparisons of columns, without calls or other code."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from .columns import read_column

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

# Text in quotes, and a name in backticks.
QUOTED, BACKTICKS = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", r"`([^`]*)`"
# Comparisons and arithmetic. Calls, attributes and items are excluded because they can run code.
ALLOWED = (
    ast.Expression,
    ast.BoolOp,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.Name,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.expr_context,
    ast.boolop,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
)


def query_mask(adata: AnnData | MuData, query: str) -> np.ndarray:
    """Mask of the cells that a query of `obs` selects, shape ``(n,)``.

    Columns of a modality are written ``rna:day``. Names that are no Python identifiers are written
    in backticks. ``index`` is the name of the cell. A comparison with a missing value selects no
    cell.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If the query is more than comparisons of columns, or its result is not true or false for
        every cell.
    """
    import pandas as pd

    text, names = _replace_names(query, list(getattr(adata, "mod", {})))
    if "@" in re.sub(QUOTED, "", text):
        raise ValueError("queries have no variables: write the value instead of @")
    tree = ast.parse(text.strip(), mode="eval")
    forbidden_node = next(
        (type(node).__name__ for node in ast.walk(tree) if not isinstance(node, ALLOWED)), None
    )
    if forbidden_node is not None:
        raise ValueError(
            f"queries only compare columns, and this has a Python {forbidden_node.lower()}: "
            "pass a boolean mask"
        )
    column_names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    columns = {name: _read_column(adata, names.get(name, name)) for name in column_names}
    frame = pd.DataFrame(
        {
            name: column.to_numpy() if column.dtype == object else column.array
            for name, column in columns.items()
        }
    )
    return _as_mask(
        frame.eval(text.strip(), engine="python") if column_names else None, adata.n_obs
    )


def _read_column(adata: AnnData | MuData, name: str) -> pd.Series:
    if name == "index" and name not in adata.obs.columns:
        return adata.obs_names.to_series()
    return read_column(adata, name, "column")


def _replace_names(query: str, modalities: list[str]) -> tuple[str, dict[str, str]]:
    """Replace names that are no Python identifiers by identifiers, outside of quotes."""
    names: dict[str, str] = {}
    prefix = "|".join(re.escape(m) for m in sorted(modalities, key=len, reverse=True))
    pattern = f"{QUOTED}|{BACKTICKS}" + (rf"|\b((?:{prefix}):\w+)" if modalities else "")

    def replace(match: re.Match[str]) -> str:
        name = next((group for group in match.groups() if group is not None), None)
        if name is None:
            return match[0]
        word = f"column_{len(names)}_"
        names[word] = name
        return word

    return re.sub(pattern, replace, query), names


def _as_mask(result: object, n: int) -> np.ndarray:
    import pandas as pd

    if (
        not isinstance(result, pd.Series)
        or len(result) != n
        or not pd.api.types.is_bool_dtype(result.dtype)
    ):
        kind = result.dtype if isinstance(result, pd.Series) else "a single value"
        raise ValueError(
            f"the query gives {kind}, not true or false for every cell: "
            "compare a column with a value"
        )
    return result.fillna(False).to_numpy(dtype=bool)
