"""Results on disk: one row for every measurement; repeating the measurement replaces the row."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import scdiffot

Row = dict[str, Any]
# The values that identify a measurement of a part
ROW_KEY = (
    "part",
    "task",
    "data",
    "method",
    "variant",
    "autonomous",
    "prior",
    "time",
    "seed",
    "n_cells",
    "level",
)


class Store:
    """Rows of a JSON file, one for every measurement.

    Parameters
    ----------
    path
        The file; it is read if it exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        empty: dict[str, Any] = {"environments": {}, "rows": []}
        content = json.loads(path.read_text()) if path.exists() else empty
        self.environments: dict[str, dict[str, str]] = content["environments"]
        self.rows: list[Row] = content["rows"]

    def add(self, part: str, data: str, row: Row) -> None:
        """Add a row, replace an older row of the same measurement, and save."""
        current = environment()
        name = hashlib.sha256(json.dumps(current).encode()).hexdigest()[:8]
        self.environments[name] = current
        row = {
            "part": part,
            "data": data,
            **row,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "environment": name,
        }
        self.rows = [old for old in self.rows if _key(old) != _key(row)] + [_short(row)]
        names = {stored["environment"] for stored in self.rows}
        self.environments = {key: value for key, value in self.environments.items() if key in names}
        self.save()

    def save(self) -> None:
        """Write the file, a line for every row."""
        rows = sorted(self.rows, key=lambda row: json.dumps(_key(row)))
        lines = ",\n".join(json.dumps(row) for row in rows)
        environments = json.dumps(self.environments, indent=1)
        text = f'{{"environments": {environments},\n"rows": [\n{lines}\n]}}\n'
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(text)

    def of(self, part: str, **names: Any) -> list[Row]:
        """The rows of a part that have these values."""
        rows = [row for row in self.rows if row["part"] == part]
        return [row for row in rows if all(row.get(key) == value for key, value in names.items())]


def environment() -> dict[str, str]:
    """Machine and versions, and a fingerprint of the measured code."""
    packages = ("scdiffot", "torch", "numpy", "pot", "anndata")
    versions = " ".join(f"{name} {version(name)}" for name in packages)
    root = Path(scdiffot.__file__).parent
    content = b"".join(path.read_bytes() for path in sorted((root / "core").rglob("*.py")))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": versions,
        "core": hashlib.sha256(content).hexdigest()[:8],
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _key(row: Row) -> list[Any]:
    return [row.get(name) for name in ROW_KEY]


def _short(value: Any) -> Any:
    """Convert arrays to lists, and round numbers to five digits."""
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_short(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.5g}")
    return value.item() if isinstance(value, np.generic) else value
