"""Errors of the command line: one line on the standard error, exit code 2 and no files."""

from __future__ import annotations

import pytest
import torch

from scdiffot import cli


@pytest.fixture
def path(time_course, tmp_path):
    time_course.write_h5ad(tmp_path / "course.h5ad")
    return tmp_path / "course.h5ad"


RESPONSE = ("--condition-key", "condition", "--control", "control", "--target", "drug")
BAD_INPUT = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "unknown command": (["fly"], "invalid choice"),
    "no file": (
        ["fit", "{tmp}/none.h5ad", "-o", "{tmp}/o.h5ad", "--time-key", "time"],
        "none.h5ad is no file",
    ),
    "no time key": (["fit", "{path}", "-o", "{tmp}/o.h5ad"], "required: --time-key"),
    "wrong key": (
        ["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "tim"],
        "Did you mean 'time'?",
    ),
    "no map": (["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "label"], "pass `time_map`"),
    "bad map": (
        ["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "label", "--time-map", "x"],
        "neither LABEL=TIME",
    ),
    "two maps": (
        [
            "fit",
            "{path}",
            "-o",
            "{tmp}/o.h5ad",
            "--time-key",
            "label",
            "--time-map",
            "auto",
            "day0=0",
        ],
        "pass 'auto' alone",
    ),
    "auto map": (
        ["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "cell_type", "--time-map", "auto"],
        "`time_map` 'auto' cannot read",
    ),
    # no machine has 100 GPUs; the device is checked before the file is opened
    "no GPU": (
        [
            "fit",
            "{tmp}/text.h5ad",
            "-o",
            "{tmp}/o.h5ad",
            "--time-key",
            "time",
            "--device",
            "cuda:99",
        ],
        "torch sees",
    ),
    "no device": (
        ["fit", "{tmp}/text.h5ad", "-o", "{tmp}/o.h5ad", "--time-key", "time", "--device", "tpu"],
        "`device` is",
    ),
    "no GPU for responses": (
        ["response", "{tmp}/text.h5ad", "-o", "{tmp}/o.h5ad", *RESPONSE, "--device", "cuda:99"],
        "torch sees",
    ),
    "bad sigma": (
        ["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "time", "--sigma", "x"],
        "neither a number",
    ),
    "negative sigma": (
        ["fit", "{path}", "-o", "{tmp}/o.h5ad", "--time-key", "time", "--sigma=-1"],
        "`sigma` is -1.0",
    ),
    "no folder": (
        ["fit", "{path}", "-o", "{tmp}/no/o.h5ad", "--time-key", "time"],
        "does not exist",
    ),
    "suffix": (
        ["fit", "{path}", "-o", "{tmp}/o.txt", "--time-key", "time"],
        "name a file that ends with .h5ad",
    ),
    "not h5ad": (
        ["fit", "{tmp}/text.h5ad", "-o", "{tmp}/o.h5ad", "--time-key", "time"],
        "cannot be read as .h5ad",
    ),
    "no fit": (
        ["fate", "{path}", "-o", "{tmp}/o.h5ad", "--cell-key", "cell_type"],
        "run scdiffot.tl.fit",
    ),
    "no cell key": (["fate", "{path}", "-o", "{tmp}/o.h5ad"], "required: --cell-key"),
    "fate of no file": (
        ["fate", "{tmp}/none.h5ad", "-o", "{tmp}/o.h5ad", "--cell-key", "x"],
        "none.h5ad is no file",
    ),
    "fate seed": (
        ["fate", "{path}", "-o", "{tmp}/o.h5ad", "--cell-key", "x", "--rng", "-1"],
        "'-1' is no seed",
    ),
    "demo in a file": (["demo", "--out", "{path}"], "where no folder can be made"),
    "demo seed": (["demo", "--out", "{tmp}", "--rng", "-1"], "'-1' is no seed"),
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(path, tmp_path, capsys):
    out = tmp_path / "o.h5ad"
    assert (
        cli.main(["fit", str(path), "-o", str(out), "--time-key", "time", "--device", "cuda"]) == 2
    )
    error = capsys.readouterr().err
    assert error == (
        "scdiffot fit: error: `device` is 'cuda', but torch sees 0 GPUs: pass 'auto', 'cpu', or "
        "'cuda' where there is a GPU.\n"
    )
    assert not out.exists()


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_2(case, path, tmp_path, capsys):
    (tmp_path / "text.h5ad").write_text("no HDF5")
    arguments, message = BAD_INPUT[case]
    previous = sorted(tmp_path.iterdir())
    try:
        code = cli.main([a.format(path=path, tmp=tmp_path) for a in arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("scdiffot")
    assert message in captured.err
    assert sorted(tmp_path.iterdir()) == previous
