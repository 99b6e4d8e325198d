"""Paragraphs that the docstrings of public functions share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable")

# Entries of the sections of docstrings, by the names that stand for them: `%(rng)s` is the entry
# `rng`.
ENTRIES = {
    "fit": """
adata
    Cells with a fit.
""",
    "key": """
key
    Name of the fit.
""",
    "copy": """
copy
    Whether to return a copy instead of writing into `adata`.
""",
    "rng": """
rng
    Seed or generator of the random numbers. Equal seeds give equal results on one machine.
""",
    "device": """
device
    ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or a `torch.device`.
""",
    "show_progress": """
show_progress
    Whether to show a progress bar.
""",
    "show_download": """
show_progress
    Whether a download shows a progress bar.
""",
    "ax": """
ax
    Axes to draw on.
""",
    "show": """
show
    Whether to show the figure; scanpy's setting by default.
return_fig
    Whether to return the figure.
""",
    "cell_key": """
cell_key
    Column of `adata.obs` with the cell types.
""",
    "gene_symbols": """
gene_symbols
    Column of `adata.var` with the gene names to use instead of `adata.var_names`, here and in
    the result.
""",
    "decoder": """
decoder
    Decoder of the representation: an object with methods `encode` and `decode`, or a pair of
    such functions, on tensors. By default the decoder that `adata` holds.
""",
    "target_time": """
target_time
    Time of the fates (number or label), at which cells were observed; the last by default.
""",
    "growth": """
growth
    Whether cells divide and die along trajectories. By default if the fit has growth.
""",
    "n_steps": """
n_steps
    Steps in an interval between snapshots, 10 by default.
""",
    "n_dims": """
n_dims
    Number of its columns to use, from the first. All by default.
""",
    "predicted_cells": """
x
    Predicted cells, shape ``(n, d)``.
""",
    "weights": """
wx
    Non-negative weights of `x`, shape ``(n,)``; equal ones by default.
wy
    Non-negative weights of `y`, shape ``(m,)``; equal ones by default.
""",
    "clouds": """
x
    First cloud, shape ``(n, d)``.
y
    Second cloud, shape ``(m, d)``, in the same unit.
""",
    "n_max": """
n_max
    A larger cloud is replaced by this many of its points, by systematic sampling in proportion
    to the weights.
""",
    "groups_of_cells": """
groupby
    Column of `adata.obs` with groups to average over, such as cell types. By default all cells
    are one group, ``"all"``.
source
    Cells to average over: a time (number) or its label, a query of `adata.obs` (``"cell_type ==
    'stem'"``), names of cells, or a boolean mask. By default all cells within the times of the
    fit. Every cell weighs the same, at its own time.
per_time
    Whether to average over the cells of every time separately.
""",
    "figure": """
The figure if `return_fig`, None if the figure is shown, and the axes otherwise.
""",
}
_PLACE = re.compile(r"^( *)%\((\w+)\)s$", flags=re.MULTILINE)


def fill_parameters(function: Function) -> Function:
    """Replace lines such as `%(rng)s` of a docstring by the entries of :data:`ENTRIES`.

    Raises
    ------
    KeyError
        If no entry has that name.

    Examples
    --------
    >>> @fill_parameters
    ... def draw(rng=0):
    ...     '''Draw numbers.
    ...
    ...     Parameters
    ...     ----------
    ...     %(rng)s
    ...     '''
    >>> draw.__doc__.splitlines()[4].strip()
    'rng'
    """

    def entry(match: re.Match[str]) -> str:
        lines = ENTRIES[match[2]].strip("\n").splitlines()
        return "\n".join(match[1] + line for line in lines)

    # Python with the option -OO removes docstrings.
    if function.__doc__ is not None:
        function.__doc__ = _PLACE.sub(entry, function.__doc__)
    return function
