"""Learn dynamics from a time course, check them, and follow them."""

from __future__ import annotations

from ._fit import fit
from ._interpolate import interpolate
from ._project import project
from ._simulate import simulate
from ._validate import validate

__all__ = ["fit", "interpolate", "project", "simulate", "validate"]
