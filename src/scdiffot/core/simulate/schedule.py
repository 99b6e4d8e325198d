"""Schedules: where an integration stops, and the steps between the stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from scdiffot.core.nets.model import RUOTModel

# Times are equal if they differ by less than this share of the time between the first and the
# last snapshot.
TIME_TOLERANCE = 1e-7


class Leg(NamedTuple):
    """A part of a schedule between two stops, in solver's time; backward if it ends earlier."""

    start: float
    end: float
    n_steps: int


def build_schedule(stops: np.ndarray, snapshot_times: np.ndarray, n_steps: int) -> list[Leg]:
    """Legs from the first to the last stop, in solver's time; backward if the last is earlier.

    Snapshots are stops too, because fields may jump there. `n_steps` is the number of steps in an
    interval between snapshots; parts of an interval have proportionally fewer. Stops that are equal
    up to rounding are one.
    """
    low, high = stops.min(), stops.max()
    inside = snapshot_times[(snapshot_times > low) & (snapshot_times < high)]
    points = np.unique(np.concatenate([stops, inside]))
    tolerance = TIME_TOLERANCE * (snapshot_times[-1] - snapshot_times[0])
    points = points[np.concatenate([[True], np.diff(points) > tolerance])]
    interval = np.searchsorted(snapshot_times, (points[1:] + points[:-1]) / 2) - 1
    interval = interval.clip(0, len(snapshot_times) - 2)
    counts = np.ceil(n_steps * np.diff(points) / np.diff(snapshot_times)[interval] - 1e-6)
    legs = [
        Leg(float(start), float(end), max(int(n), 1))
        for start, end, n in zip(points[:-1], points[1:], counts, strict=True)
    ]
    return legs if stops[-1] >= stops[0] else [Leg(b, a, n) for a, b, n in reversed(legs)]


def model_schedule(model: RUOTModel, stops: np.ndarray, n_steps: int) -> list[Leg]:
    """Schedule of a model through stops in the user's unit."""
    times = model.scaling.time_in(model.times)
    return build_schedule(model.scaling.time_in(stops), times, n_steps)


def default_times(start: float, end: float, snapshot_times: np.ndarray, n: int = 20) -> np.ndarray:
    """Start, end, and ``n`` times in every interval between them."""
    grid = np.concatenate(
        [
            np.linspace(a, b, n + 1)
            for a, b in zip(snapshot_times[:-1], snapshot_times[1:], strict=True)
        ]
    )
    low, high = min(start, end), max(start, end)
    return np.concatenate([[low], grid[(grid > low) & (grid < high)], [high]])
