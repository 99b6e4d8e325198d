"""Read stored results as tables, graphs and objects."""

from __future__ import annotations

from ._alignment import alignment
from ._fate import fate
from ._model import model
from ._perturbation import perturb_screen, perturbation
from ._regulation import regulation
from ._response import response

__all__ = [
    "alignment",
    "fate",
    "model",
    "perturb_screen",
    "perturbation",
    "regulation",
    "response",
]
