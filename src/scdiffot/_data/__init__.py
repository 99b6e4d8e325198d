"""How AnnData and MuData store things is known here, and nowhere else."""

from __future__ import annotations
