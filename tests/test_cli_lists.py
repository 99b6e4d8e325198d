from __future__ import annotations

import pytest

from scdiffot.cli import _parser
from scdiffot.cli._lists import labels_and_times, separate_lists, split_labels

FIT = ["fit", "--time-key", "day", "-o", "out.h5ad"]
PERTURB = ["perturb", "--cell-key", "type", "-o", "out.h5ad"]


def parse(words):
    return _parser().parse_args(separate_lists(words))


@pytest.mark.parametrize(
    "words",
    [
        ["cells.h5ad", "--time-map", "a=0,b=1", "--held-out", "a,b"],
        ["--time-map", "a=0,b=1", "--held-out", "a,b", "cells.h5ad"],
        [
            "--time-map",
            "a=0",
            "--time-map",
            "b=1",
            "--held-out",
            "a",
            "--held-out",
            "b",
            "cells.h5ad",
        ],
        # older syntax with several values after an option
        ["cells.h5ad", "--time-map", "a=0", "b=1", "--held-out", "a", "b"],
        ["--held-out", "a", "b", "--time-map", "a=0", "b=1", "cells.h5ad"],
        ["--time-map", "a=0", "b=1", "cells.h5ad", "--held-out", "a", "b"],
    ],
)
def test_no_option_consumes_the_file(words):
    for arguments in (parse([*FIT, *words]), parse([FIT[0], *words, *FIT[1:]])):
        assert str(arguments.file) == "cells.h5ad"
        assert dict(pair for part in arguments.time_map for pair in part) == {"a": 0, "b": 1}
        assert split_labels(arguments.held_out, {"a", "b"}) == ["a", "b"]


def test_words_after_two_dashes_are_files():
    arguments = parse([*FIT, "--held-out", "a", "b", "--", "cells.h5ad"])
    assert str(arguments.file) == "cells.h5ad"
    assert arguments.held_out == ["a", "b"]


@pytest.mark.parametrize("name", ["cells.h5ad", "cells.zarr", "cells.zarr/", "a=1.h5mu"])
def test_every_format_ends_a_list(name):
    arguments = parse([*PERTURB, "--genes", "Gata1=0", "Spi1", name])
    assert str(arguments.file) == name.rstrip("/")
    assert arguments.genes == [[("Gata1", 0.0)], [("Spi1", None)]]
    assert parse([*FIT, "--held-out", "2", name]).held_out == ["2"]


def test_negative_times():
    arguments = parse([*FIT, "--held-out", "-1", "-0.5", "cells.h5ad", "--time-map", "a=-1,b=-.5"])
    assert arguments.held_out == ["-1", "-0.5"]
    assert arguments.time_map == [[("a", -1.0), ("b", -0.5)]]


def test_option_without_a_value(capsys):
    for words in (["--held-out"], ["--held-out", "--validate"], ["--time-map", "--quiet"]):
        with pytest.raises(SystemExit) as stop:
            parse([*FIT, "cells.h5ad", *words])
        assert stop.value.code == 2
        assert "expected one argument" in capsys.readouterr().err


def test_labels_with_commas_and_equals_signs():
    assert labels_and_times("day 1, late=1,x=y=2, z =-3e1") == [
        ("day 1, late", 1.0),
        ("x=y", 2.0),
        ("z", -30.0),
    ]
    assert split_labels(["day 1, late", "a, b"], {"day 1, late", "a", "b"}) == [
        "day 1, late",
        "a",
        "b",
    ]
    assert split_labels(None, {"a"}) is None


@pytest.mark.parametrize("text", ["a", "a=", "a=x", "a=1,b", "cells.h5ad"])
def test_invalid_time_maps_are_an_error(text, capsys):
    with pytest.raises(SystemExit):
        parse([*FIT, "cells.h5ad", "--time-map", text])
    assert "is neither LABEL=TIME with a number nor 'auto'" in capsys.readouterr().err


def test_a_label_named_twice(tmp_path, capsys):
    from scdiffot import cli

    assert cli.main([*FIT, "cells.h5ad", "--time-map", "a=0,a=1"]) == 2
    assert "--time-map names a label twice" in capsys.readouterr().err
