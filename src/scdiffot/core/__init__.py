"""The numerical core: arrays in, arrays out."""

from __future__ import annotations

from .nets.model import RUOTModel
from .problem.config import FitConfig, Progress
from .problem.snapshots import Snapshots
from .simulate.dynamics import simulate
from .simulate.interpolation import interpolate
from .simulate.trajectories import Trajectories
from .train.fitting import fit
from .train.left_out import leave_one_out
from .train.stages.stage import History

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
