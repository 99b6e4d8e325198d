"""All code blocks of the README work.

Python blocks run one after another, as in a notebook. Shell blocks and the `scdiffot` commands in
the text are split at `&&` and line ends. The function of the first word in `CHECKS` checks each
command; a new command in the README needs an entry there. `.ci/run` runs the commands marked with
`<!-- command: NAME -->` unchanged, each in a new environment.
"""

from __future__ import annotations

import re
import shlex
from functools import partial
from importlib.metadata import metadata
from pathlib import Path

import pytest
import scanpy
from packaging.requirements import InvalidRequirement, Requirement

import scdiffot as sdo
from scdiffot import cli

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
# Fits and trajectories of a few steps run the same lines.
BRIEF = {
    "fit": ("--n-steps", "20"),
    "fate": ("--n-trajectories", "5"),
    "perturb": ("--n-trajectories", "5"),
}
BRIEF_FITS: dict[str, dict[str, dict]] = {
    "fit": {
        "config": {
            "train": {"n_steps": 20},
            "corrections": {"n_rounds": 1},
            "matching": {"n_steps": 5},
        }
    },
    "fit_response": {"config": {"train": {"n_steps": 50}}},
}
SHELLS = ("bash", "console", "sh", "shell")


def blocks(text: str, *languages: str) -> list[str]:
    """Contents of the fenced blocks in these languages."""
    fence = rf"^```(?:{'|'.join(languages)})\n(.*?)^```"
    return re.findall(fence, text, flags=re.MULTILINE | re.DOTALL)


def shell_commands(text: str) -> list[list[str]]:
    """Words of every command in the shell blocks, and of every `scdiffot` command in the text."""
    lines = "\n".join([*blocks(text, *SHELLS), *re.findall(r"`(scdiffot [^`]+)`", text)])
    parts = re.split(r"\n|&&", lines.replace("\\\n", " "))
    words = (shlex.split(part.strip().removeprefix("$ "), comments=True) for part in parts)
    return [command for command in words if command]


def check_install(*words: str) -> None:
    """Check that `pip install` names this package, with extras that it has."""
    assert words[0] == "install"
    targets = [word for word in words[1:] if not word.startswith("-")]
    assert targets, "nothing to install"
    options = {word for word in words if word.startswith("-")}
    assert options <= {"-e", "--editable", "-U", "--upgrade"}
    for target in targets:
        # A folder is no requirement; the folder of the clone is this package.
        requirement = Requirement(re.sub(r"^\.", "scdiffot", target))
        assert requirement.name == "scdiffot"
        assert requirement.extras <= set(metadata("scdiffot").get_all("Provides-Extra"))


def run_cli(*words: str) -> None:
    """Check that the command succeeds in the current folder; of the demo, only the arguments.

    The demo has a separate test.
    """
    if words[0] == "demo":
        cli._parser().parse_args(words)
        return
    assert cli.main([*words, *BRIEF.get(words[0], ())]) in (0, None)


def check_suite(*words: str) -> None:
    """Check that `pytest` has no arguments: this suite is already running."""
    assert words == ()


CHECKS = {"pip": check_install, "scdiffot": run_cli, "pytest": check_suite}


def check(command: list[str]) -> None:
    """Check one command."""
    program, *words = command
    assert program in CHECKS, f"add a check of {program!r} to CHECKS in {__file__}"
    CHECKS[program](*words)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with `cells.h5ad`: a time course with the names of the README."""
    adata = sdo.datasets.regulatory_network(60)
    adata.var_names = ["GATA1", *adata.var_names[1:]]
    adata.obs["day"] = adata.obs["time"]
    scanpy.pp.pca(adata, n_comps=5)
    monkeypatch.chdir(tmp_path)
    adata.write_h5ad("cells.h5ad")


def test_commands_of_continuous_integration_are_marked():
    marked = re.findall(r"<!-- command: (\w+) -->\n+```bash\n(.+)\n```", README)
    assert sorted(name for name, _ in marked) == ["demo", "tests"]


@pytest.mark.slow
def test_shell_commands_run(folder):
    commands = shell_commands(README)
    assert {words[0] for words in commands} == set(CHECKS)
    for command in commands:
        check(command)


@pytest.mark.slow
def test_notebook_lines_run(monkeypatch):
    for name, options in BRIEF_FITS.items():
        monkeypatch.setattr(sdo.tl, name, partial(getattr(sdo.tl, name), **options))
    namespace: dict = {}
    for code in blocks(README, "python"):
        exec(compile(code, "README.md", "exec"), namespace)
    assert "sdo" in namespace


GOOD = """
```bash
pip install scdiffot
pip install -U "scdiffot[spatial]" && scdiffot --help
```
With ```pytest```, or `scdiffot fit --help`.
"""
BAD = {
    "another package": "pip install scdifot",
    "unknown extra": 'pip install "scdiffot[spacial]"',
    "nothing": "pip install -e",
    "unknown program": "conda install scdiffot",
    "unknown command": "scdiffot fly",
    "no file": "scdiffot fit none.h5ad --time-key day -o fitted.h5ad",
}


def test_any_number_of_blocks_is_possible():
    assert shell_commands(GOOD) == [
        ["pip", "install", "scdiffot"],
        ["pip", "install", "-U", "scdiffot[spatial]"],
        ["scdiffot", "--help"],
        ["scdiffot", "fit", "--help"],
    ]
    for command in shell_commands(GOOD)[:2]:
        check(command)


@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
def test_a_wrong_command_is_noticed(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (command,) = shell_commands(f"```bash\n{line}\n```")
    with pytest.raises((AssertionError, InvalidRequirement, SystemExit)) as error:
        check(command)
    assert getattr(error.value, "code", 2) == 2
