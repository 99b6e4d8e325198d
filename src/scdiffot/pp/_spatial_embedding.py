"""A representation of spots and their surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._analysis.slice_checks import warn_units
from scdiffot._analysis.spatial_graphs import check_sliced, link_spots
from scdiffot._data.read.checks import as_writable, check_count, format_list, listed_names
from scdiffot._data.read.slices import read_slices
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.logging import logger
from scdiffot._utils.names import check_key
from scdiffot._utils.optional import require
from scdiffot._utils.rng import as_generator, rng_name
from scdiffot.core.spatial.domains.neighbourhoods import aggregate, n_averaged, spatial_components

from ._harmony import harmonise, score_mixing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.read.slices import TissueSlices

CHANNELS = ("mean", "variance", "gradient")
METHOD = "neighbourhoods"


@fill_parameters
def spatial_embedding(
    adata: AnnData | MuData,
    *,
    use_rep: str = "X_pca",
    n_dims: int | None = None,
    n_hops: int = 2,
    n_neighbors: int = 12,
    n_components: int | Literal["auto"] | None = "auto",
    channels: str | Iterable[str] = ("mean",),
    batch_correction: Literal["harmony"] | None = None,
    spatial_key: str = "spatial",
    library_key: str | None = None,
    connectivity_key: str | None = None,
    rng: int | np.random.Generator = 0,
    key_added: str = "X_spatial",
    copy: bool = False,
) -> AnnData | MuData | None:
    r"""Represent every spot by the states of its neighbourhood.

    States are averaged repeatedly over a spot and its nearest spots, within each slice. Averages
    over neighbourhoods separate domains as well as networks that are trained for this purpose
    :cite:p:`Singhal2024`. Of these averages, the function keeps the directions with spatial
    variation beyond the differences between neighbours: those :math:`v` that maximise

    .. math::
        \frac{v^T C_1 v}{v^T C_0 v},

    with the covariance within slices :math:`C_0` of the states and :math:`C_1` of the averages, as
    in factors of maximal autocorrelation :cite:p:`Switzer1984` and MULTISPATI :cite:p:`Dray2008`.
    The result does not depend on the unit and the pose of the coordinates, nor on the scale of the
    representation.

    Parameters
    ----------
    adata
        Spots.
    use_rep
        Representation of the spots: a key of `adata.obsm` (with or without its ``X_``), ``"X"``, a
        layer, or ``"modality:key"`` of a MuData. All slices must share it.
    %(n_dims)s
    n_hops
        Number of averaging steps, and so the radius of the neighbourhood in links. With 0, spots
        are not averaged.
    n_neighbors
        Number of nearest spots that a spot is linked with. Spots at the same distance as the last
        one are neighbours too.
    n_components
        Number of directions to keep. ``"auto"`` keeps those with more spatial variation than noise
        would have, at least two; None keeps the columns of the representation as they are.
    channels
        Statistics to compute: ``"mean"``; ``"variance"``, the standard deviation of the states in
        the neighbourhood, which distinguishes mixed from pure neighbourhoods; ``"gradient"``, the
        length of the gradient of the mean, which is high at borders of domains.
    batch_correction
        ``"harmony"`` first removes differences between slices from the states, by Harmony
        :cite:p:`Korsunsky2019`: for slices of several platforms or donors. If the result does not
        mix the slices, a warning is logged.
    spatial_key
        Key of `adata.obsm` with coordinates, two or three. Slices need no common frame.
    library_key
        Column of `adata.obs` with the slice of every spot; by default all spots are one slice.
    connectivity_key
        Entry of `adata.obsp` with links to use instead, such as ``"spatial_connectivities"`` by
        ``squidpy.gr.spatial_neighbors``. Spots are linked if it is not zero. `n_neighbors` is
        ignored then.
    rng
        Seed or generator, for Harmony and for the noise that measures how much averaging reduces
        variance.
    key_added
        Name of the representation.
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following fields:

    `adata.obsm["{key_added}"]` : array of shape ``(n, n_channels * n_components)``
        The channels, in the order of `channels`. Components are scaled so that single spots of a
        slice, without averaging, have variance 1.
    `adata.uns["{key_added}"]` : dict
        ``params``; ``n_averaged``, the effective number of independent spots in a mean; with
        components, their ``loadings``, the ``share`` of the variance of each that remains after
        averaging, and the share that remains of ``noise``; with a batch correction, ``mixing`` of
        the result and ``mixing_before`` of the averages without it: the share of other slices
        among the 30 nearest neighbours, relative to the share expected from the sizes of the
        slices (1 if slices are perfectly mixed, 0 if they are separate).

    Raises
    ------
    ImportError
        If Harmony is requested, and harmonypy is not installed.
    KeyError
        If a key does not exist.
    TypeError
        If an argument or an array has the wrong type.
    ValueError
        If coordinates are NaN or coincide for most spots, a spot has no slice, links join
        different slices, a number is out of range, or a name is in use. Nothing is written in
        these cases.

    See Also
    --------
    scdiffot.tl.spatial_domains : Cluster the spots of an embedding into domains.
    scdiffot.tl.align_slices : Bring slices into one frame.
    scdiffot.pp.autoencoder : A nonlinear representation of expression.

    Examples
    --------
    >>> import numpy as np
    >>> import anndata as ad
    >>> import scdiffot as sdo
    >>> rng = np.random.default_rng(0)
    >>> xy = rng.uniform(size=(200, 2))
    >>> states = rng.normal(size=(200, 5)) + (xy[:, :1] > 0.5)
    >>> adata = ad.AnnData(states, obsm={"spatial": xy})
    >>> sdo.pp.spatial_embedding(adata, use_rep="X")
    >>> adata.obsm["X_spatial"].shape
    (200, 2)
    """
    n_hops = check_count("n_hops", n_hops, 0)
    n_neighbors = check_count("n_neighbors", n_neighbors, 1)
    names = _check_channels(channels)
    n_components = _check_options(n_components, batch_correction)
    generator = as_generator(rng)
    adata = as_writable(adata, copy=copy)
    _check_free(adata, key_added, (use_rep, spatial_key))
    slices = read_slices(
        adata, library_key, spatial_key=spatial_key, use_rep=use_rep, n_dims=n_dims
    )
    check_sliced(adata, slices, library_key)
    states = np.asarray(slices.states, dtype=np.float64)
    _check_sizes(slices, states.shape[1], n_components, batch_correction)
    harmonypy = require("harmonypy", extra="spatial") if batch_correction else None
    positions = {name: slices.positions[slices.rows(name)] for name in slices.names}
    warn_units(positions, slices.spatial_key)
    original_states = states
    if harmonypy is not None:
        states = harmonise(harmonypy, states, slices.codes, generator)
    links = link_spots(adata, slices, n_neighbors=n_neighbors, connectivity_key=connectivity_key)
    result: dict[str, Any] = {"n_averaged": n_averaged(links, n_hops, rng=generator)}
    if n_components is not None:
        means = aggregate(slices.positions, states, links, slices.codes, n_hops=n_hops).mean
        components = _find_components(slices, states, means, result["n_averaged"], n_components)
        states = (states - states.mean(axis=0)) @ components["loadings"]
        result |= components
    neighbourhoods = aggregate(
        slices.positions, states, links, slices.codes, n_hops=n_hops, channels=names
    )
    features = np.hstack([getattr(neighbourhoods, name) for name in names])
    if batch_correction:
        result |= score_mixing(slices, original_states, features, links, n_hops)
    result["params"] = {
        "method": METHOD,
        "use_rep": slices.use_rep,
        "n_dims": original_states.shape[1],
        "spatial_key": slices.spatial_key,
        "library_key": library_key or "",
        "n_hops": n_hops,
        "n_neighbors": n_neighbors,
        "n_components": features.shape[1] // len(names),
        "channels": list(names),
        "batch_correction": batch_correction or "",
        "connectivity_key": connectivity_key or "",
        "rng": rng_name(rng),
    }
    adata.obsm[key_added] = features
    adata.uns[key_added] = result
    return adata if copy else None


def _find_components(
    slices: TissueSlices,
    states: np.ndarray,
    means: np.ndarray,
    n_averaged: float,
    n_components: int | Literal["auto"],
) -> dict[str, Any]:
    """Find the directions of spatial variation; return the entries to store."""
    components = spatial_components(
        states,
        means,
        slices.codes,
        n_averaged=n_averaged,
        n_components=None if n_components == "auto" else n_components,
    )
    logger.info("%d components vary more between places than noise would.", len(components.shares))
    return {
        "loadings": components.loadings,
        "share": components.shares,
        "noise": components.noise,
    }


def _check_channels(channels: str | Iterable[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(listed_names("channels", channels)))
    unknown = [name for name in names if name not in CHANNELS]
    if unknown or not names:
        raise ValueError(
            f"`channels` is {channels!r}: pass one or more of {format_list(CHANNELS)}."
        )
    return names


def _check_options(
    n_components: int | Literal["auto"] | None, batch_correction: str | None
) -> int | Literal["auto"] | None:
    """Check the number of components and the name of the correction; return the former."""
    if n_components is not None and n_components != "auto":
        n_components = check_count("n_components", n_components, 1)
    if batch_correction not in (None, "harmony"):
        raise ValueError(f"`batch_correction` is {batch_correction!r}: pass 'harmony' or None.")
    return n_components


def _check_sizes(
    slices: TissueSlices,
    n_columns: int,
    n_components: int | str | None,
    batch_correction: str | None,
) -> None:
    """Check the number of components and of slices."""
    if isinstance(n_components, int) and n_components > n_columns:
        raise ValueError(
            f"`n_components` is {n_components}, but `use_rep` {slices.use_rep!r} has {n_columns} "
            "columns: pass at most as many."
        )
    if batch_correction and len(slices.names) < 2:
        raise ValueError(
            "`batch_correction` needs several slices: name their column as `library_key`, "
            "or leave it out."
        )


def _check_free(adata: AnnData | MuData, key: str, inputs: tuple[str, ...]) -> None:
    check_key(key, "key_added")
    if key in inputs:
        raise ValueError(f"`key_added` is {key!r}, which is an input: pass a name of its own.")
    entry = adata.uns.get(key)
    is_embedding = hasattr(entry, "keys") and "n_averaged" in entry
    for attribute, mapping in (("uns", adata.uns), ("obsm", adata.obsm)):
        if key in mapping and not is_embedding:
            raise ValueError(
                f"`key_added` is {key!r}, but adata.{attribute}[{key!r}] holds something that is "
                "no spatial embedding: name another."
            )
