from __future__ import annotations

import io

import pytest
from rich.console import Console

from scdiffot._utils import progress as _progress
from scdiffot.core import Progress


def _bar_text(monkeypatch, n_fits=1) -> str:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(_progress, "_make_console", lambda: console)
    with _progress.progress_bar("Fit", show=True, n_fits=n_fits) as callback:
        assert callback is not None
        for _ in range(n_fits):
            for step in (25, 50):
                callback(Progress("bridges", step, 50, 0.1234567))
    return screen.getvalue()


def test_bar_shows_stage_loss_and_steps(monkeypatch):
    text = _bar_text(monkeypatch)
    for part in ("Fit: bridges", "50/50", "loss 0.1235"):
        assert part in text


def test_several_fits_share_one_bar(monkeypatch):
    assert "150/150" in _bar_text(monkeypatch, n_fits=3)


@pytest.mark.parametrize("show", [True, False])
def test_silent_outside_terminals_and_on_request(show, capsys):
    with _progress.progress_bar("Fit", show=show) as callback:
        assert callback is None
    output = capsys.readouterr()
    assert output.out == output.err == ""
