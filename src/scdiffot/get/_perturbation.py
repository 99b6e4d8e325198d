"""Effects of perturbations of genes as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._data.read.checks import check_flag
from scdiffot._data.write.perturbation import read_perturbations, read_screen
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData


@fill_parameters
def perturbation(
    adata: AnnData | MuData,
    name: str | None = None,
    *,
    by: Literal["source", "cell"] = "source",
    key: str = DEFAULT,
) -> pd.DataFrame:
    """Get the effects of perturbations of genes on fates as a tidy table.

    Parameters
    ----------
    adata
        Cells with perturbations by :func:`scdiffot.tl.perturb`, also if read from a file.
    name
        Name of a perturbation; all by default.
    by
        ``"source"``: a row for every type of the perturbed cells (the last is ``"all"``) and every
        fate. ``"cell"``: a row for every cell and fate.
    %(key)s

    Returns
    -------
    Columns ``perturbation`` and ``fate``. By source: ``source``; the shares ``control`` and
    ``perturbed`` of the fate among the descendants with ``control_se`` and ``perturbed_se``; their
    difference ``shift`` with ``se``, ``p`` and ``p_adjusted``; and, the same in all rows of a
    source, ``n_cells``, and ``mass_ratio`` with ``mass_se`` and ``mass_p``, the number of
    descendants with the perturbation divided by that without. By cell: ``cell``, ``shift``, ``se``
    and ``mass_ratio``.

    Raises
    ------
    KeyError
        If there is no fit or perturbation of this name.
    ValueError
        If `by` is neither of these.

    See Also
    --------
    scdiffot.tl.perturb : Compute the perturbation.
    scdiffot.get.perturb_screen : The table of a screen of many genes.
    scdiffot.get.fate : Fates without a perturbation.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.perturb(adata, {"X": 0.0}, "cell_type", n_trajectories=20)
    >>> sdo.get.perturbation(adata, "X")["source"].unique().tolist()[-1]
    'all'
    """
    if by not in ("source", "cell"):
        raise ValueError(f"`by` is {by!r}: pass 'source' or 'cell'.")
    import pandas as pd

    tables = [
        _by_source(f) if by == "source" else _by_cell(f)
        for f in read_perturbations(adata, key, name)
    ]
    # not one array: perturbations with other target times may have other fates
    return pd.concat(tables, ignore_index=True)


@fill_parameters
def perturb_screen(
    adata: AnnData | MuData, *, fates: bool = False, key: str = DEFAULT
) -> pd.DataFrame:
    """Get a screen as a table, a row for every gene in the order of the ranks.

    Parameters
    ----------
    adata
        Cells with a screen by :func:`scdiffot.tl.perturb_screen`, also if read from a file.
    fates
        Whether to return a row for every gene and fate instead, with the change of the fate.
    %(key)s

    Returns
    -------
    Columns ``gene`` and ``partner`` (empty except for pairs); ``effect`` with ``se``, ``p`` and
    ``p_adjusted``; ``mass_ratio`` with ``mass_se`` and ``mass_p``; ``outside``, the share of
    perturbed cells far from the data; and ``n_trajectories``. If `fates`: ``gene``, ``partner``,
    ``fate``, ``shift``, ``se``.

    Raises
    ------
    KeyError
        If there is no fit of this name, or no screen.
    TypeError
        If `fates` is neither True nor False.

    See Also
    --------
    scdiffot.tl.perturb_screen : Run the screen.
    scdiffot.get.perturbation : The table of single perturbations.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.perturb_screen(adata, "cell_type", n_trajectories=20)
    >>> len(sdo.get.perturb_screen(adata))
    2
    """
    import pandas as pd

    entry = read_screen(adata, key)
    if not check_flag("fates", fates):
        names = (
            "gene",
            "partner",
            "effect",
            "se",
            "p",
            "p_adjusted",
            "mass_ratio",
            "mass_se",
            "mass_p",
            "outside",
        )
        return pd.DataFrame({name: entry[name] for name in (*names, "n_trajectories")})
    labels, n = [str(fate) for fate in entry["fates"]], len(entry["gene"])
    return pd.DataFrame(
        {
            "gene": np.repeat(entry["gene"], len(labels)),
            "partner": np.repeat(entry["partner"], len(labels)),
            "fate": pd.Categorical(np.tile(labels, n), categories=labels),
            "shift": np.ravel(entry["shift"]),
            "se": np.ravel(entry["shift_se"]),
        }
    )


def _by_source(entry: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    n_sources, n_fates = entry["shift"].shape
    shares = (
        "control",
        "control_se",
        "perturbed",
        "perturbed_se",
        "shift",
        "se",
        "p",
        "p_adjusted",
    )
    return pd.DataFrame(
        {
            "perturbation": str(entry["name"]),
            "source": np.repeat([str(name) for name in entry["sources"]], n_fates),
            "fate": np.tile([str(name) for name in entry["fates"]], n_sources),
            **{name: np.ravel(entry[name]) for name in shares},
            **{
                name: np.repeat(entry[name], n_fates)
                for name in ("n_cells", "mass_ratio", "mass_se", "mass_p")
            },
        }
    )


def _by_cell(entry: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    n_cells, n_fates = entry["cell_shift"].shape
    return pd.DataFrame(
        {
            "perturbation": str(entry["name"]),
            "cell": np.repeat([str(name) for name in entry["cells"]], n_fates),
            "fate": np.tile([str(name) for name in entry["fates"]], n_cells),
            "shift": np.ravel(entry["cell_shift"]),
            "se": np.ravel(entry["cell_se"]),
            "mass_ratio": np.repeat(entry["cell_ratio"], n_fates),
        }
    )
