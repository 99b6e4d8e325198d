"""Virtual slices of a tissue."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from anndata import AnnData

from scdiffot._analysis.slice_checks import warn_units
from scdiffot._analysis.slice_depths import read_depths, read_masses
from scdiffot._data.read.checks import check_adata, check_count, check_share, format_list
from scdiffot._data.read.gene_names import gene_columns
from scdiffot._data.read.slices import TissueSlices, read_slices
from scdiffot._data.write.virtual.slices import virtual_slice_adata
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.logging import logger
from scdiffot._utils.number_text import number_text
from scdiffot.core.spatial.between.interpolation import VirtualSlice, interpolate_pair, whole_slice
from scdiffot.core.spatial.between.slice_coupling import couple_slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Coupled share of the slices below which a warning is logged.
MIN_COUPLED = 0.5
FORMS = ("displacement", "barycentric")
SOURCES = ("place", "state")


@fill_parameters
def interpolate_slices(
    adata: AnnData,
    between: Iterable[str],
    at: float,
    *,
    library_key: str,
    spatial_key: str = "spatial",
    use_rep: str = "X_pca",
    n_dims: int | None = None,
    depth: str | Mapping[str, float] | None = None,
    form: Literal["displacement", "barycentric"] = "displacement",
    spatial_weight: float = 0.9,
    partial: bool = True,
    smoothing: float = 1.0,
    mass: Literal["n_spots"] | Mapping[str, float] | None = "n_spots",
    n_obs: int | None = None,
    cell_keys: str | Iterable[str] | None = None,
    labels_from: Literal["place", "state"] = "place",
    genes: Iterable[str] | None = None,
    gene_symbols: str | None = None,
    layers: str | Iterable[str] | None = None,
) -> AnnData:
    r"""Predict a virtual slice at any depth or time between slices of a tissue.

    The slices next to `at` are coupled by optimal transport. The cost combines distances in the
    tissue and in the representation. Coupled spots move along straight lines :cite:p:`McCann1997`;
    tissue of only one of the slices stays in place and fades. Number of spots and total mass lie
    between those of the slices.

    Slices must be in one frame: align them first. A shift of the whole representation between
    slices, as between batches, does not affect the coupling, but is interpolated as well.

    Parameters
    ----------
    adata
        Spots of the slices.
    between
        Names of two slices or more.
    at
        Depth of the virtual slice, in the unit of `depth`. At the depth of a measured slice, that
        slice is returned.
    library_key
        Column of `adata.obs` with the slice of every spot.
    spatial_key
        Key of `adata.obsm` with coordinates in one frame, in two or three dimensions.
    use_rep
        Representation in which expression is compared: a key of `adata.obsm` (with or without its
        ``X_``), ``"X"``, or a layer.
    %(n_dims)s
    depth
        Depth or time of the slices: a dict (name -> number), or a numeric column of `adata.obs`. By
        default the slices of `between` are at 0, 1, 2, ..., in their order.
    form
        ``"displacement"``: a virtual spot lies between two coupled spots. ``"barycentric"``: it is
        a spot of either slice, displaced towards the mean of its partners, which evens out local
        differences of density.
    spatial_weight
        Weight of the distance in the tissue, above 0 and up to 1; the representation has the
        remaining weight.
    partial
        Whether tissue may exist in one slice only (partial transport). Otherwise all spots are
        coupled.
    smoothing
        Bandwidth, in distances between neighbouring spots, of the Gaussian kernel over position and
        state by which the expression of a virtual spot is averaged with its neighbours; if their
        states differ much, it extends to the nearest of them. 0 keeps the noise of single spots.
    mass
        Total mass of each slice: ``"n_spots"`` takes the numbers of spots, a dict (name -> number)
        takes independent measurements, None takes equal masses.
    n_obs
        Number of virtual spots. By default it lies between the numbers of spots of the slices.
    cell_keys
        Columns of `adata.obs` with labels to transfer.
    labels_from
        ``"place"``: the most frequent labels at the position of a virtual spot, with the bandwidth
        by which spots of the two slices, left out in turn, are best predicted by the others. It is
        correct for most spots if labels are domains or clusters of spots. ``"state"``: the labels
        of the spots whose expression was averaged. It preserves the frequencies of cell types that
        are intermingled, where otherwise the most common type would be the label everywhere.
    genes
        Genes of the virtual slice, each once, in this order; all by default.
    gene_symbols
        Column of `adata.var` with the gene names to use instead of `adata.var_names`.
    layers
        Layers to interpolate in addition to ``X``.

    Returns
    -------
    A new AnnData, without expression if `adata.X` is None:

    `X`, `layers[...]` : arrays
        Expression, a mean over the spots that contribute to a virtual spot.
    `obsm[spatial_key]`, `obsm[use_rep]` : arrays
        Coordinates, in the frame and unit of `adata`, and representation.
    `obs["weight"]` : column
        Mass of a spot, the same for all; the sum is the total mass of the slice.
    `obs["depth"]` : column
        The depth `at`.
    `obs[cell_key]`, `obsm["{cell_key}_probability"]` : column, DataFrame
        The most likely label, and the probabilities of all labels.
    `uns["interpolation"]` : dict
        The two slices, `at`, and the ``coupled`` share of both.

    Raises
    ------
    KeyError
        If a key, slice or gene does not exist.
    TypeError
        If an argument or array has the wrong type.
    ValueError
        If `at` lies outside the slices, fewer than two are named, depths coincide, coordinates are
        missing or not in two or three dimensions, or an option is out of range.

    See Also
    --------
    scdiffot.tl.align_slices : Align slices in one frame.
    scdiffot.tl.interpolate : The population at any time between snapshots.

    Examples
    --------
    >>> import numpy as np
    >>> import anndata as ad
    >>> import scdiffot as sdo
    >>> rng = np.random.default_rng(0)
    >>> adata = ad.AnnData(rng.poisson(2.0, (90, 5)).astype(np.float32))
    >>> adata.obs["slice"] = np.repeat(["a", "b"], [40, 50])
    >>> adata.obsm["spatial"] = rng.uniform(size=(90, 2))
    >>> virtual = sdo.tl.interpolate_slices(
    ...     adata, ["a", "b"], 0.5, library_key="slice", use_rep="X"
    ... )
    >>> virtual.shape
    (45, 5)
    >>> float(virtual.obs["weight"].sum())
    45.0
    """
    _check_inputs(adata, form, labels_from)
    spatial_weight = check_share("spatial_weight", spatial_weight)
    smoothing = _check_smoothing(smoothing)
    if n_obs is not None:
        n_obs = check_count("n_obs", n_obs, 1)
    slices = read_slices(
        adata, library_key, spatial_key=spatial_key, use_rep=use_rep, n_dims=n_dims, n_min=2
    )
    depths = read_depths(adata, slices, between, depth)
    masses = read_masses(slices, list(depths), mass)
    previous, following, fraction = _bracket(depths, at)
    rows = slices.rows(previous), slices.rows(following)
    warn_units(
        {n: slices.positions[r] for n, r in zip((previous, following), rows, strict=True)},
        slices.spatial_key,
    )
    columns = gene_columns(adata, genes, gene_symbols=gene_symbols)
    if fraction == 0:
        virtual = whole_slice(
            slices.positions[rows[0]], len(rows[1]), mass=masses[previous], n_obs=n_obs
        )
        coupled = 1.0
    else:
        virtual, coupled = _interpolate(
            slices,
            rows,
            fraction,
            masses=(masses[previous], masses[following]),
            n_obs=n_obs,
            form=form,
            smoothing=smoothing,
            spatial_weight=spatial_weight,
            partial=bool(partial),
        )
    params = {"between": [previous, following], "at": float(at), "form": form, "coupled": coupled}
    return virtual_slice_adata(
        adata,
        virtual,
        rows,
        slices=slices,
        columns=columns,
        cell_keys=cell_keys,
        labels_from=labels_from,
        layers=layers,
        depth=float(at),
        params=params,
    )


def _check_inputs(adata: Any, form: str, labels_from: str) -> None:
    """Refuse data of another class, and unknown options."""
    check_adata(adata)
    if not isinstance(adata, AnnData):
        raise TypeError(
            "`adata` is a MuData: pass the modality with the genes, for instance mdata['rna']."
        )
    if form not in FORMS:
        raise ValueError(f"`form` is {form!r}: pass {format_list(FORMS)}.")
    if labels_from not in SOURCES:
        raise ValueError(f"`labels_from` is {labels_from!r}: pass {format_list(SOURCES)}.")


def _check_smoothing(smoothing: float) -> float:
    """Check the bandwidth of the expression."""
    if isinstance(smoothing, bool) or not isinstance(smoothing, Real):
        raise TypeError(
            f"`smoothing` is a {type(smoothing).__name__}: pass a number of spot distances."
        )
    if not 0 <= smoothing < np.inf:
        raise ValueError(
            f"`smoothing` is {smoothing}: pass a number of spot distances, 0 for none."
        )
    return float(smoothing)


def _bracket(depths: dict[str, float], depth: Any) -> tuple[str, str, float]:
    """The slices next to a depth, and its relative position between them."""
    if isinstance(depth, bool) or not isinstance(depth, Real):
        raise TypeError(f"`at` is a {type(depth).__name__}: pass a number, in the unit of `depth`.")
    names, values = list(depths), np.array(list(depths.values()))
    if not values[0] <= depth <= values[-1]:
        raise ValueError(
            f"`at` is {number_text(depth)}: the slices {format_list(names)} cover depths from "
            f"{number_text(values[0])} to {number_text(values[-1])}."
        )
    k = int(np.searchsorted(values, float(depth), side="right")) - 1
    if k == len(names) - 1:
        return names[k], names[k - 1], 0.0
    return names[k], names[k + 1], float((float(depth) - values[k]) / (values[k + 1] - values[k]))


def _interpolate(
    slices: TissueSlices,
    rows: tuple[np.ndarray, np.ndarray],
    fraction: float,
    *,
    spatial_weight: float,
    partial: bool,
    **options: Any,
) -> tuple[VirtualSlice, float]:
    """Virtual slice between two slices, and the share of them that is coupled."""
    assert slices.states is not None
    x, y = slices.positions[rows[0]], slices.positions[rows[1]]
    fx, fy = (slices.states[r].astype(np.float64) for r in rows)
    coupling = couple_slices(x, fx, y, fy, spatial_weight=spatial_weight, partial=partial)
    coupled = float(coupling.shares.sum())
    if coupled < MIN_COUPLED:
        logger.warning(
            "Only %.0f %% of the slices are coupled: check that `spatial_key` %r has both in one "
            "frame.",
            100 * coupled,
            slices.spatial_key,
        )
    virtual = interpolate_pair(
        x,
        fx,
        y,
        fy,
        fraction,
        spatial_weight=spatial_weight,
        partial=partial,
        coupling=coupling,
        **options,
    )
    return virtual, coupled
