from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import scdiffot as sdo
from scdiffot import cli


@pytest.fixture
def path(time_course, quick, tmp_path):
    time_course.X += 6
    time_course.var_names = ["Gata1", "Spi1", "Cebpa"]
    sdo.tl.fit(time_course, "time", use_rep="X", **quick)
    time_course.write_h5ad(tmp_path / "fitted.h5ad")
    return tmp_path / "fitted.h5ad"


def test_perturb_writes_the_results_of_the_function(path, tmp_path, capsys):
    out = tmp_path / "out.h5ad"
    options = ["--cell-key", "cell_type", "--n-trajectories", "20", "--rng", "3", "--sustained"]
    assert (
        cli.main(
            ["perturb", str(path), "-o", str(out), "--genes", "Gata1=5,Spi1", "Cebpa=7.5", *options]
        )
        == 0
    )
    output = capsys.readouterr().out
    assert "Change of the fates: Gata1+Spi1+Cebpa" in output
    assert "all" in output
    adata = ad.read_h5ad(path)
    genes = {"Gata1": 5.0, "Spi1": None, "Cebpa": 7.5}
    sdo.tl.perturb(
        adata, genes, "cell_type", sustained=True, n_trajectories=20, rng=3, show_progress=False
    )
    expected = adata.uns["scdiffot"]["perturbation"]["Gata1+Spi1+Cebpa"]
    stored_entry = ad.read_h5ad(out).uns["scdiffot"]["perturbation"]["Gata1+Spi1+Cebpa"]
    np.testing.assert_array_equal(stored_entry["shift"], expected["shift"])
    np.testing.assert_array_equal(stored_entry["values"], [5, np.nan, 7.5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--genes", "Gata2"], "Did you mean 'Gata1'"),
        (["--genes", "Gata1=1", "Gata1"], "names a gene twice"),
        (["--genes", "Gata1=-1"], "never below zero"),
    ],
)
def test_bad_input_is_one_line(path, tmp_path, capsys, options, message):
    out = tmp_path / "out.h5ad"
    assert (
        cli.main(
            ["perturb", str(path), "-o", str(out), "--cell-key", "cell_type", *options, "--quiet"]
        )
        == 2
    )
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not out.exists()


def test_values_are_numbers(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["perturb", "a.h5ad", "-o", "b.h5ad", "--cell-key", "c", "--genes", "Gata1=high"])
    assert stop.value.code == 2
    assert "is not GENE or GENE=VALUE with a number" in capsys.readouterr().err
