"""Learn dynamics from a time course, check them, and follow them."""

from __future__ import annotations

from ._fit import fit
from ._interpolate import interpolate
from ._landscape import landscape
from ._project import project
from ._simulate import simulate
from ._sta_backward import sta_backward
from ._sta_forward import sta_forward
from ._transition_matrix import transition_matrix
from ._validate import validate

__all__ = [
    "fit",
    "interpolate",
    "landscape",
    "project",
    "simulate",
    "sta_backward",
    "sta_forward",
    "transition_matrix",
    "validate",
]
