"""Virtual slices of a tissue."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from anndata import AnnData

from scdiffot._analysis.slice_checks import warn_units
from scdiffot._analysis.slice_depths import read_depths, read_masses
from scdiffot._data.read.checks import check_adata, check_count, check_share, some
from scdiffot._data.read.gene_names import gene_columns
from scdiffot._data.read.slices import TissueSlices, read_slices
from scdiffot._data.write.virtual.slices import virtual_slice_adata
from scdiffot._utils.logging import logger
from scdiffot._utils.number_text import number_text
from scdiffot.core.spatial.between.interpolation import VirtualSlice, interpolate_pair, whole_slice
from scdiffot.core.spatial.between.slice_coupling import couple_slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FORMS = ("displacement", "barycentric")
SOURCES = ("place", "state")


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
    r"""Make a virtual slice at any depth or time between slices of a tissue.

    The slices right before and after `at` are coupled by optimal transport under a cost of distance in the tissue and in
    the representation. Coupled spots then move along straight lines :cite:p:`McCann1997`; tissue that only one of both has stays in
    its place and fades. Number of spots and total mass lie between those of the slices.

    Slices must be in one frame: align them first. A shift of the whole representation between slices, as between batches,
    does not affect the coupling, but is interpolated like the rest.

    Parameters
    ----------
    adata
        Spots of the slices.
    between
        Names of two slices or more.
    at
        Where to make the slice, in the unit of `depth`. At a slice that was measured, that slice is returned.
    library_key
        Column of `adata.obs` with the slice of every spot.
    spatial_key
        Key of `adata.obsm` with coordinates in one frame, in two or three dimensions.
    use_rep
        Representation in which expression is compared: a key of `adata.obsm` (with or without its ``X_``), ``"X"``, or a layer.
    n_dims
        Number of its columns to use, from the first. All by default.
    depth
        Depth or time of the slices: a dict (name -> number), or a numeric column of `adata.obs`. By default the slices of
        `between` are at 0, 1, 2, ..., as they are listed.
    form
        ``"displacement"``: a virtual spot lies between two that are coupled. ``"barycentric"``: it is a spot of either slice on
        its way to the mean of its partners, which evens out local differences of density.
    spatial_weight
        Weight of the distance in the tissue, above 0 and up to 1; the rest is that of the representation.
    partial
        Whether tissue may lie in one slice only. Otherwise all spots are coupled.
    smoothing
        Width, in distances between neighbouring spots, of the Gaussian kernel over place and state by which the expression
        of a virtual spot is averaged with its neighbours; where their states differ much, it reaches the nearest of them. 0 keeps
        the noise of single spots.
    mass
        Total mass of each slice: ``"n_spots"`` takes their numbers of spots, a dict (name -> number) what was measured otherwise,
        and None the same for all.
    n_obs
        Number of virtual spots. By default it lies between the numbers of spots of the slices.
    cell_keys
        Columns of `adata.obs` with labels to transfer.
    labels_from
        ``"place"``: the labels that are common where a virtual spot lies, with the width by which spots of the two slices, each
        left out in turn, are told best by the others. This is right for most spots where labels are domains or clusters of spots.
        ``"state"``: the labels of the spots that its expression is a mean of. This keeps how many cells are of each type where
        types are intermingled, so that the most common one would be the label everywhere.
    genes
        Genes of the virtual slice, each once, in this order; all by default.
    gene_symbols
        Column of `adata.var` with the gene names to use instead of `adata.var_names`.
    layers
        Layers to interpolate as well as ``X``.

    Returns
    -------
    An AnnData of its own, without expression if `adata.X` is None:

    `X`, `layers[...]` : arrays
        Expression, a mean over the spots that a virtual one is made of.
    `obsm[spatial_key]`, `obsm[use_rep]` : arrays
        Coordinates, in the frame and unit of `adata`, and representation.
    `obs["weight"]` : column
        Mass of a spot, the same for all; the sum is the total mass of the slice.
    `obs["depth"]` : column
        The depth `at`.
    `obs[cell_key]`, `obsm["{cell_key}_probability"]` : column, DataFrame
        The most likely label, and the probabilities of all.
    `uns["interpolation"]` : dict
        The two slices, `at`, and the shares of both that were ``coupled``.

    Raises
    ------
    KeyError
        If a key, slice or gene does not exist.
    TypeError
        If an argument or array has the wrong type.
    ValueError
        If `at` lies outside the slices, fewer than two are named, depths coincide, coordinates are missing or not in two or
        three dimensions, or an option is out of range.

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
    check_adata(adata)
    if not isinstance(adata, AnnData):
        raise TypeError(
            "`adata` is a MuData: pass the modality with the genes, for instance mdata['rna']."
        )
    if form not in FORMS:
        raise ValueError(f"`form` is {form!r}: pass {some(FORMS)}.")
    if labels_from not in SOURCES:
        raise ValueError(f"`labels_from` is {labels_from!r}: pass {some(SOURCES)}.")
    spatial_weight = check_share("spatial_weight", spatial_weight)
    if isinstance(smoothing, bool) or not isinstance(smoothing, Real):
        raise TypeError(
            f"`smoothing` is a {type(smoothing).__name__}: pass a number of spot distances."
        )
    if not 0 <= smoothing < np.inf:
        raise ValueError(
            f"`smoothing` is {smoothing}: pass a number of spot distances, 0 for none."
        )
    if n_obs is not None:
        n_obs = check_count("n_obs", n_obs, 1)
    slices = read_slices(
        adata, library_key, spatial_key=spatial_key, use_rep=use_rep, n_dims=n_dims, n_least=2
    )
    depths = read_depths(adata, slices, between, depth)
    totals = read_masses(slices, list(depths), mass)
    before, after, t = _bracket(depths, at)
    warn_units(
        {name: slices.positions[slices.rows(name)] for name in (before, after)}, slices.spatial_key
    )
    columns = gene_columns(adata, genes, gene_symbols=gene_symbols)
    rows = slices.rows(before), slices.rows(after)
    if t == 0:
        virtual = whole_slice(
            slices.positions[rows[0]], len(rows[1]), mass=totals[before], n_obs=n_obs
        )
        coupled = 1.0
    else:
        virtual, coupled = _make(
            slices,
            rows,
            t,
            masses=(totals[before], totals[after]),
            n_obs=n_obs,
            form=form,
            smoothing=float(smoothing),
            spatial_weight=spatial_weight,
            partial=bool(partial),
        )
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
        params={"between": [before, after], "at": float(at), "form": form, "coupled": coupled},
    )


def _bracket(depths: dict[str, float], at: Any) -> tuple[str, str, float]:
    """The slices around a depth, and where between them it is."""
    if isinstance(at, bool) or not isinstance(at, Real):
        raise TypeError(f"`at` is a {type(at).__name__}: pass a number, in the unit of `depth`.")
    names, values = list(depths), np.array(list(depths.values()))
    if not values[0] <= at <= values[-1]:
        raise ValueError(
            f"`at` is {number_text(at)}: the slices {some(names)} cover depths from {number_text(values[0])} to {number_text(values[-1])}."
        )
    k = int(np.searchsorted(values, float(at), side="right")) - 1
    if k == len(names) - 1:
        return names[k], names[k - 1], 0.0
    return names[k], names[k + 1], float((float(at) - values[k]) / (values[k + 1] - values[k]))


def _make(
    slices: TissueSlices,
    rows: tuple[np.ndarray, np.ndarray],
    t: float,
    *,
    spatial_weight: float,
    partial: bool,
    **options: Any,
) -> tuple[VirtualSlice, float]:
    assert slices.states is not None
    x, y = slices.positions[rows[0]], slices.positions[rows[1]]
    fx, fy = (slices.states[r].astype(np.float64) for r in rows)
    coupling = couple_slices(x, fx, y, fy, spatial_weight=spatial_weight, partial=partial)
    coupled = float(coupling.shares.sum())
    if coupled < 0.5:
        logger.warning(
            "Only %.0f %% of the slices are coupled: check that `spatial_key` %r has both in one frame.",
            100 * coupled,
            slices.spatial_key,
        )
    virtual = interpolate_pair(
        x,
        fx,
        y,
        fy,
        t,
        spatial_weight=spatial_weight,
        partial=partial,
        coupling=coupling,
        **options,
    )
    return virtual, coupled
