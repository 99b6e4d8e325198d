"""A representation of spots and their surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._analysis.slice_checks import warn_units
from scdiffot._analysis.spatial_graphs import check_sliced, link_spots
from scdiffot._data.read.checks import check_count, listed_names, some, writable
from scdiffot._data.read.slices import read_slices
from scdiffot._utils.logging import logger
from scdiffot._utils.names import check_key
from scdiffot._utils.optional import require
from scdiffot._utils.rng import as_generator, global_generators, rng_name
from scdiffot.core.spatial.domains.mixing import mixing
from scdiffot.core.spatial.domains.neighbourhoods import aggregate, n_averaged, spatial_components

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

CHANNELS = ("mean", "variance", "gradient")
METHOD = "neighbourhoods"
# Share of neighbours from other slices, relative to chance, below which a batch correction has not mixed them. Two slices of equal
# size then have an inverse Simpson index below 1.2 of 2.
MIN_MIXING = 0.3


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
    r"""Describe every spot by what surrounds it.

    States are averaged over a spot and its nearest spots, several times over, within each slice. Averages of a
    neighbourhood alone separate domains as well as networks that are trained to :cite:p:`Singhal2024`. Of these averages, the
    directions are kept in which places differ more than neighbours do: those :math:`v` that maximise

    .. math::
        \frac{v^T C_1 v}{v^T C_0 v},

    with the covariance within slices :math:`C_0` of the states and :math:`C_1` of the averages, as in factors of maximal
    autocorrelation :cite:p:`Switzer1984` and MULTISPATI :cite:p:`Dray2008`. Neither the unit nor the pose of the coordinates
    matters, nor does the scale of the representation.

    Parameters
    ----------
    adata
        Spots.
    use_rep
        Representation of the spots: a key of `adata.obsm` (with or without its ``X_``), ``"X"``, a layer, or ``"modality:key"`` of a
        MuData. All slices must share it.
    n_dims
        Number of its columns to use, from the first. All by default.
    n_hops
        How many times to average: the surroundings reach as many links far. 0 takes the spots alone.
    n_neighbors
        Nearest spots that a spot is linked with. Spots as far as the last one are neighbours too.
    n_components
        Number of directions to keep. ``"auto"`` keeps those that noise could not explain, at least two; None keeps the columns of the
        representation as they are.
    channels
        What to compute: ``"mean"``; ``"variance"``, the standard deviation of the states in the surroundings, which tells mixed
        from pure ones; ``"gradient"``, the length of the gradient of the mean, which tells borders from what they separate.
    batch_correction
        ``"harmony"`` first removes differences between slices from the states, by Harmony :cite:p:`Korsunsky2019`: for slices of several
        platforms or donors. A warning is logged where the result does not mix the slices.
    spatial_key
        Key of `adata.obsm` with coordinates, two or three. Slices need no common frame.
    library_key
        Column of `adata.obs` with the slice of every spot; by default all spots are one slice.
    connectivity_key
        Entry of `adata.obsp` with links to use instead, such as ``"spatial_connectivities"`` by
        ``squidpy.gr.spatial_neighbors``. Spots are linked if it is not zero. `n_neighbors` is ignored then.
    rng
        Seed or generator, for Harmony and for a noise of which the rest that survives averaging is measured.
    key_added
        Name of the representation.
    copy
        Whether to return a copy instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Sets the following fields:

    `adata.obsm["{key_added}"]` : array of shape ``(n, n_channels * n_components)``
        The channels, in the order they were named. Along a component of the mean, single spots of a slice would have variance 1.
    `adata.uns["{key_added}"]` : dict
        ``params``; ``n_averaged``, the number of independent spots that a mean amounts to; with components, their ``loadings``,
        the ``share`` of the variance that is left of each, and that which would be left of ``noise``; with a batch correction,
        ``mixing`` of the result and ``mixing_before`` of the averages without it: the share of 30 nearest neighbours from other
        slices, 1 where it is that of the sizes of the slices, 0 where there are none.

    Raises
    ------
    ImportError
        If Harmony is asked for, and harmonypy is not installed.
    KeyError
        If a key does not exist.
    TypeError
        If an argument or an array has the wrong type.
    ValueError
        If coordinates are NaN or coincide for most spots, a spot has no slice, links join different slices, a number is out of range,
        or a name is taken. Nothing is written then.

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
    n_hops, n_neighbors = (
        check_count("n_hops", n_hops, 0),
        check_count("n_neighbors", n_neighbors, 1),
    )
    wanted = _channels(channels)
    if n_components not in (None, "auto"):
        n_components = check_count("n_components", n_components, 1)
    if batch_correction not in (None, "harmony"):
        raise ValueError(f"`batch_correction` is {batch_correction!r}: pass 'harmony' or None.")
    generator = as_generator(rng)
    adata = writable(adata, copy=copy)
    _check_free(adata, key_added, (use_rep, spatial_key))
    slices = read_slices(
        adata, library_key, spatial_key=spatial_key, use_rep=use_rep, n_dims=n_dims
    )
    check_sliced(adata, slices, library_key)
    states = np.asarray(slices.states, dtype=np.float64)
    if isinstance(n_components, int) and n_components > states.shape[1]:
        raise ValueError(
            f"`n_components` is {n_components}, but `use_rep` {slices.use_rep!r} has {states.shape[1]} columns: pass at most as many."
        )
    if batch_correction and len(slices.names) < 2:
        raise ValueError(
            "`batch_correction` needs several slices: name their column as `library_key`, or leave it out."
        )
    harmonypy = require("harmonypy", extra="spatial") if batch_correction else None
    warn_units(
        {name: slices.positions[slices.rows(name)] for name in slices.names}, slices.spatial_key
    )
    uncorrected = states
    if harmonypy is not None:
        states = _harmonise(harmonypy, states, slices.codes, generator)
    links = link_spots(adata, slices, n_neighbors=n_neighbors, connectivity_key=connectivity_key)
    shrinkage = n_averaged(links, n_hops, rng=generator)
    result: dict[str, Any] = {"n_averaged": shrinkage}
    means = aggregate(slices.positions, states, links, slices.codes, n_hops=n_hops).mean
    if n_components is not None:
        found = spatial_components(
            states,
            means,
            slices.codes,
            n_averaged=shrinkage,
            n_components=None if n_components == "auto" else n_components,
        )
        states = (states - states.mean(axis=0)) @ found.loadings
        result |= {"loadings": found.loadings, "share": found.shares, "noise": found.noise}
        logger.info("%d components vary more between places than noise would.", len(found.shares))
    surroundings = aggregate(
        slices.positions, states, links, slices.codes, n_hops=n_hops, channels=wanted
    )
    features = np.hstack([getattr(surroundings, channel) for channel in wanted])
    if batch_correction:
        before = aggregate(slices.positions, uncorrected, links, slices.codes, n_hops=n_hops).mean
        result |= _mixing(before, features, slices.codes)
    result["params"] = {
        "method": METHOD,
        "use_rep": slices.use_rep,
        "n_dims": len(means[0]),
        "spatial_key": slices.spatial_key,
        "library_key": library_key or "",
        "n_hops": n_hops,
        "n_neighbors": n_neighbors,
        "n_components": features.shape[1] // len(wanted),
        "channels": list(wanted),
        "batch_correction": batch_correction or "",
        "connectivity_key": connectivity_key or "",
        "rng": rng_name(rng),
    }
    adata.obsm[key_added] = features
    adata.uns[key_added] = result
    return adata if copy else None


def _channels(channels: str | Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(listed_names("channels", channels)))
    unknown = [name for name in wanted if name not in CHANNELS]
    if unknown or not wanted:
        raise ValueError(f"`channels` is {channels!r}: pass one or more of {some(CHANNELS)}.")
    return wanted


def _check_free(adata: AnnData | MuData, key: str, inputs: tuple[str, ...]) -> None:
    check_key(key, "key_added")
    if key in inputs:
        raise ValueError(f"`key_added` is {key!r}, which is an input: pass a name of its own.")
    entry = adata.uns.get(key)
    ours = hasattr(entry, "keys") and "n_averaged" in entry
    for place, there in (("uns", adata.uns), ("obsm", adata.obsm)):
        if key in there and not ours:
            raise ValueError(
                f"`key_added` is {key!r}, but adata.{place}[{key!r}] holds something that is no spatial embedding: name another."
            )


def _mixing(before: np.ndarray, after: np.ndarray, codes: np.ndarray) -> dict[str, float]:
    """How well slices mix without and with the correction; a warning where they do not."""
    scores = {"mixing_before": mixing(before, codes), "mixing": mixing(after, codes)}
    if scores["mixing"] < MIN_MIXING:
        logger.warning(
            "`batch_correction` does not mix the slices: neighbours come from other slices at %.2f times the rate of chance (%.2f "
            "without correction), so domains would follow slices. Analyse every slice alone, or pass a representation in which the "
            "slices mix as `use_rep`.",
            scores["mixing"],
            scores["mixing_before"],
        )
    return scores


def _harmonise(
    harmonypy: Any, states: np.ndarray, codes: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    import pandas as pd

    batch = pd.DataFrame({"slice": codes.astype(str)})
    seed = int(rng.integers(2**31))
    with global_generators():
        found = harmonypy.run_harmony(states, batch, "slice", random_state=seed, verbose=False)
    corrected = np.asarray(found.Z_corr, dtype=np.float64)
    # in earlier versions it has a column per spot
    return corrected if corrected.shape == states.shape else corrected.T
