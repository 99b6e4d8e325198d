"""Reading from and writing to AnnData and MuData; no other package knows their structure."""

from __future__ import annotations
