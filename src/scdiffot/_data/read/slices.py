"""Slices of a tissue: positions and states of their spots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.logging import logger

from .checks import check_adata, format_list, suggest
from .extract import locate, read_representation
from .labels import cell_labels, check_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

# Fewest spots of a slice that define neighbourhoods.
MIN_SPOTS = 10
# Largest length or value, and inverse of the smallest extent: their squares fit into float64.
MAX_VALUE = 1e100


@dataclass(frozen=True)
class TissueSlices:
    """Spots of all slices.

    Parameters
    ----------
    positions
        Coordinates of all spots, shape ``(n, 2)`` or ``(n, 3)``, float64.
    states
        Their states, shape ``(n, d)``; None if no representation was requested.
    codes
        Slice of every spot as its position in `names`, -1 where it has none, shape ``(n,)``.
    names
        Names of the slices, in the order of the categories.
    spatial_key
        Full name of the coordinates.
    use_rep
        Full name of the representation, empty if none was requested.
    library_key
        Column with the slices; None if all spots form one slice.
    """

    positions: np.ndarray
    states: np.ndarray | None
    codes: np.ndarray
    names: list[str]
    spatial_key: str
    use_rep: str
    library_key: str | None = None

    def rows(self, name: str) -> np.ndarray:
        """Positions in the AnnData of the spots of a slice."""
        return np.flatnonzero(self.codes == self.names.index(name))


def read_slices(
    adata: AnnData | MuData,
    library_key: str | None,
    *,
    spatial_key: str = "spatial",
    use_rep: str | None = None,
    n_dims: int | None = None,
    dimensions: Iterable[int] = (2, 3),
    n_min: int = 1,
    incomplete: bool = False,
) -> TissueSlices:
    """Read and check the slices of a tissue.

    Parameters
    ----------
    adata
        The spots.
    library_key
        Column of `obs` with the slice of every spot; None takes all spots as one slice.
    spatial_key
        Key of `obsm` with the coordinates.
    use_rep
        Representation of the expression; none is read by default.
    n_dims
        Number of its columns.
    dimensions
        Allowed numbers of coordinates.
    n_min
        Smallest number of slices.
    incomplete
        Whether coordinates may be NaN and slices may have any number of spots, as for a plot.

    Raises
    ------
    KeyError
        If a key does not exist.
    TypeError
        If an argument or array has the wrong type.
    ValueError
        If coordinates are NaN, have the wrong number of columns, or coincide for most spots of a
        slice; if there are too few slices, or too few spots in one; or if two slices have names
        that cannot be distinguished.
    """
    check_adata(adata)
    positions, spatial_name = read_positions(
        adata, spatial_key, tuple(dimensions), allow_missing=incomplete
    )
    if library_key is None:
        codes, names = np.zeros(len(positions), dtype=np.intp), ["all"]
    else:
        codes, names = cell_labels(adata, library_key, argument="library_key")
    if len(names) < n_min:
        raise ValueError(
            f"`library_key` {library_key!r} has {len(names)} slice ({format_list(names)}): "
            f"at least {n_min} are needed."
        )
    check_names(
        names,
        f"obs[{library_key!r}]",
        argument="library_key",
        kind="slices",
        reserved=(),
        prefix="slice_",
    )
    for i, name in enumerate([] if incomplete else names):
        check_slice(name, positions[codes == i], library_key=library_key)
    states, rep_name = None, ""
    if use_rep is not None:
        states, rep_name = read_representation(adata, use_rep, n_dims=n_dims)
        largest = float(np.abs(states).max())
        if largest > MAX_VALUE:
            raise ValueError(
                f"`use_rep` {rep_name!r} has values up to {largest:.3g}: "
                "bring it to a smaller unit."
            )
    return TissueSlices(positions, states, codes, names, spatial_name, rep_name, library_key)


def read_positions(
    adata: AnnData | MuData,
    spatial_key: str,
    dimensions: tuple[int, ...] = (2, 3),
    *,
    allow_missing: bool = False,
) -> tuple[np.ndarray, str]:
    """Read the coordinates of all spots, and their full name; see :func:`read_slices`."""
    location = locate(adata, spatial_key, argument="spatial_key")
    if location.key != spatial_key.rpartition(":")[2]:
        # `locate` also finds "X_spatial" or a layer, which are no coordinates.
        raise KeyError(
            f"`spatial_key` is {spatial_key!r}, which is no key of obsm. "
            f"{suggest(spatial_key, location.owner.obsm)}"
        )
    positions, name = read_representation(
        adata, spatial_key, argument="spatial_key", allow_missing=allow_missing
    )
    if positions.shape[1] not in dimensions:
        allowed = " or ".join(str(d) for d in dimensions)
        raise ValueError(
            f"`spatial_key` {name!r} has {positions.shape[1]} columns: pass coordinates with "
            f"{allowed}, for instance adata.obsm['xy'] = "
            f"adata.obsm[{name!r}][:, :{dimensions[0]}]."
        )
    return positions.astype(np.float64), name


def check_slice(name: str, positions: np.ndarray, *, library_key: str | None = "") -> None:
    """Refuse a slice with too few spots or distinct positions.

    If `library_key` is None, the messages add that `adata` may hold several slices.
    """
    hint = " If `adata` holds several slices, pass `library_key`." if library_key is None else ""
    if len(positions) < MIN_SPOTS:
        raise ValueError(
            f"Slice {name!r} has {len(positions)} spots: leave out slices with fewer than "
            f"{MIN_SPOTS}, or check `library_key`."
        )
    n_distinct = len(np.unique(positions, axis=0))
    if n_distinct <= len(positions) / 2:
        raise ValueError(
            f"`spatial_key` gives the {len(positions)} spots of slice {name!r} only {n_distinct} "
            "distinct positions: check that every spot has coordinates of its own, and that no "
            f"slice is in `adata` twice.{hint}"
        )
    extent = float(np.ptp(positions, axis=0).max())
    if not 1 / MAX_VALUE < extent < MAX_VALUE:
        raise ValueError(
            f"`spatial_key` gives slice {name!r} the extent {extent:.3g}: "
            "bring coordinates to another unit, such as micrometres."
        )
    if n_distinct < len(positions):
        logger.warning(
            "%d of the %d spots of slice %r share their position with another.%s",
            len(positions) - n_distinct,
            len(positions),
            name,
            hint,
        )
