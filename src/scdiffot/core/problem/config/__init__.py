"""Settings of fits: frozen dataclasses whose fields carry unit, meaning and measurement."""

from __future__ import annotations

from .data import CouplingConfig, OutlierConfig, ScaleConfig, SelectionConfig
from .fit import FitConfig, Progress
from .networks import NetworkConfig, OptimizerConfig
from .stages import CalibrationConfig, CorrectionConfig, MatchingConfig, TrainConfig

__all__ = [
    "CalibrationConfig",
    "CorrectionConfig",
    "CouplingConfig",
    "FitConfig",
    "MatchingConfig",
    "NetworkConfig",
    "OptimizerConfig",
    "OutlierConfig",
    "Progress",
    "ScaleConfig",
    "SelectionConfig",
    "TrainConfig",
]
