"""The page of settings states the settings as they are."""

from __future__ import annotations

import runpy
from dataclasses import fields
from pathlib import Path

from scdiffot.core import FitConfig
from scdiffot.core.problem.config.setting import Settings
from scdiffot.core.response import ResponseConfig

ROOT = Path(__file__).parents[1]


def test_the_page_is_that_of_the_settings():
    page = runpy.run_path(str(ROOT / "scripts" / "write_settings.py"))["page"]()
    stored = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert stored == page, "run `python scripts/write_settings.py`"


def test_every_setting_has_a_meaning_and_a_source():
    groups: list[Settings] = [FitConfig(), ResponseConfig()]
    for group in groups:
        values = {f.name: getattr(group, f.name) for f in fields(group)}
        groups += [value for value in values.values() if isinstance(value, Settings)]
        incomplete = [
            f.name for f in fields(group) if not f.metadata["meaning"] or not f.metadata["source"]
        ]
        assert not incomplete
