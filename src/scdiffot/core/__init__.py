"""The numerical core: tensors in, tensors out."""

from __future__ import annotations

from .config import FitConfig, Progress
from .dynamics import interpolate, simulate
from .evaluate import leave_one_out
from .fitting import fit
from .model import RUOTModel
from .snapshots import Snapshots
from .train import History
from .trajectories import Trajectories

__all__ = [
    "FitConfig",
    "History",
    "Progress",
    "RUOTModel",
    "Snapshots",
    "Trajectories",
    "fit",
    "interpolate",
    "leave_one_out",
    "simulate",
]
