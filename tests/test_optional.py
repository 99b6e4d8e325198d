from __future__ import annotations

import sys

import pytest

from scdiffot._utils.optional import require


def test_installed_module_is_returned():
    assert require("json.decoder", extra="any") is sys.modules["json.decoder"]


def test_missing_package_names_extra_and_command():
    with pytest.raises(
        ImportError,
        match=r"needs scdiffot_absent.sub.*extra 'spatial'.*pip install \"scdiffot\[spatial\]\"",
    ):
        require("scdiffot_absent.sub", extra="spatial")


def test_broken_package_keeps_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "scdiffot_broken.py").write_text("import scdiffot_absent\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'scdiffot_absent'"):
        require("scdiffot_broken", extra="spatial")
