"""What the README tells people to type works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import scdiffot as sdo

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_two_commands_set_everything_up():
    commands = dict(re.findall(r"<!-- command: (\w+) -->\n+```bash\n(.*)\n```", README))
    assert set(commands) == {"demo", "tests"}
    for command in commands.values():
        install, _, run = command.partition(" && ")
        assert shlex.split(install)[:2] == ["pip", "install"]
        assert run
    # any other block would be a third command to type
    assert len(re.findall(r"^```bash", README, flags=re.MULTILINE)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("code", re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL))
def test_notebook_lines_run(code):
    assert len(code.splitlines()) <= 10
    namespace: dict = {"sdo": sdo}
    exec(compile(code, "README.md", "exec"), namespace)
    assert any(name.startswith("scdiffot") for name in namespace["adata"].uns)
