"""Responses of single cells to treatments."""

from __future__ import annotations

from .data import Conditions, ContextPair, ResponseConfig
from .fit import fit_response
from .model import Prediction, ResponseModel

__all__ = [
    "Conditions",
    "Prediction",
    "ResponseConfig",
    "ResponseModel",
    "ContextPair",
    "fit_response",
]
