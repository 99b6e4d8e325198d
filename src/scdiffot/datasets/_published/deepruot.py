"""The tables of DeepRUOT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot._utils.docs import fill_parameters

from .download import path_of
from .frame import make_adata

if TYPE_CHECKING:
    from anndata import AnnData

_TABLES = {
    "simulation_gene": (
        "simulation_gene_data.csv",
        "Sha et al., Nature Machine Intelligence 6, 25-39 (2024)",
    ),
    "mouse_hematopoiesis": (
        "mouse_hematopoiesis.csv",
        "Weinreb et al., Science 367, eaaw3381 (2020)",
    ),
    "emt": ("emt.csv", "Zhang, Li and Zhou, ICLR (2025)"),
    "gaussian_10d": ("gaussian_10d.csv", "Zhang, Li and Zhou, ICLR (2025)"),
    "gaussian_20d": ("gaussian_20d.csv", "Zhang, Li and Zhou, ICLR (2025)"),
    "gaussian_50d": ("gaussian_50d.csv", "Zhang, Li and Zhou, ICLR (2025)"),
    "gaussian_100d": ("gaussian_100d.csv", "Zhang, Li and Zhou, ICLR (2025)"),
}


@fill_parameters
def deepruot(name: str, *, show_progress: bool = True) -> AnnData:
    """Benchmark tables of DeepRUOT: small time courses in few dimensions, with growth.

    Published with the method :cite:p:`Zhang2025`; the tables hold states and times only.

    Parameters
    ----------
    name
        Name of the table. ``"simulation_gene"``: two of the three genes of
        :func:`~scdiffot.datasets.gene_network`, 3,031 cells, five times (8 units of the network's
        time apart). ``"mouse_hematopoiesis"``: 10,998 cells, two dimensions, three times.
        ``"emt"``: 3,133 cells, ten dimensions, four times. ``"gaussian_10d"``, ``"gaussian_20d"``,
        ``"gaussian_50d"``, ``"gaussian_100d"``: 1,900 points at two times, as
        :func:`~scdiffot.datasets.gaussian_mixture`.
    %(show_download)s

    Returns
    -------
    One row per cell.

    - ``X``: the coordinates, with the variables ``x1``, ``x2``, ...: fit with ``use_rep="X"``.
    - ``obs["time"]``: number of the time, 0, 1, 2, ...; ``obs["time_label"]``: the same as text.

    Raises
    ------
    ValueError
        If there is no such table, or the file is damaged.
    FileNotFoundError
        If the folder named by `SCDIFFOT_DATA` lacks the file.
    ConnectionError
        If the download fails.

    See Also
    --------
    scdiffot.datasets.gene_network : The network behind ``"simulation_gene"``, with its truth.
    scdiffot.datasets.gaussian_mixture : The mixture behind the Gaussian tables, with its truth.
    scdiffot.tl.fit : Fit a model to the time course.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.deepruot("simulation_gene")  # doctest: +SKIP
    """
    import pandas as pd

    if name not in _TABLES:
        raise ValueError(f"`name` is {name!r}: pass one of {', '.join(map(repr, _TABLES))}.")
    filename, citation = _TABLES[name]
    table = pd.read_csv(path_of(f"deepruot/{filename}", show_progress=show_progress))
    times = table.pop("samples").to_numpy(dtype=float)
    return make_adata(
        times,
        times.astype(int),
        x=table.to_numpy(),
        genes=table.columns.tolist(),
        uns={
            "citation": citation,
            "source": "https://github.com/zhenyiizhang/DeepRUOT",
            "license": "MIT (repository); the measurements belong to the cited study",
        },
    )
