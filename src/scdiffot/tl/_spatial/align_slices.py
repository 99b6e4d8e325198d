"""Alignment of the slices of a tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from scdiffot._analysis.slice_checks import warn_units
from scdiffot._data.read.checks import as_writable, check_count, check_share, suggest
from scdiffot._data.read.slices import read_slices
from scdiffot._data.write.alignment import make_alignment, slice_order
from scdiffot._data.write.alignment_store import alignment_params, write_alignment
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.progress import cell_bar
from scdiffot.core.spatial.align.alignment import AlignConfig
from scdiffot.core.spatial.align.chains import Chain, align_chain, n_links
from scdiffot.core.spatial.align.nonrigid import Warp, fit_warp

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.read.slices import TissueSlices

METHODS = ("rigid", "nonrigid")


@fill_parameters
def align_slices(
    adata: AnnData | MuData,
    library_key: str,
    reference: str | None = None,
    *,
    method: Literal["rigid", "nonrigid"] = "rigid",
    partial: bool = True,
    reflections: bool = True,
    use_rep: str = "X_pca",
    n_dims: int | None = None,
    spatial_key: str = "spatial",
    feature_weight: float = 0.2,
    n_starts: int = 12,
    key_added: str = DEFAULT,
    copy: bool = False,
    show_progress: bool = True,
) -> AnnData | MuData | None:
    r"""Align slices of a tissue in one frame: serial sections, or stages of development.

    Neighbouring slices are aligned by optimal transport. A coupling of their spots, whose cost
    combines distance in the tissue and difference in state, alternates with the rotation and shift
    that fit it best :cite:p:`Umeyama1991`, while the coupling becomes sharper. The alternation
    starts from many angles, and from mirror images, at a low resolution. If `partial`,
    partial-overlap couplings are also tried; the alignment with the highest score is kept. The
    score compares each spot with the state of the other slice at its position: it is the
    correlation times the share of spots that lie on the other slice.

    A mirror image is accepted only if its score exceeds that of the best pose without reflection by
    a significant margin: three standard errors of a jackknife over parts of the tissue, at least
    0.03 and at most 0.12 (0.26 at 60 spots). The best pose of another kind, a mirror image or a
    rotation that differs by 30 degrees or more, is stored as well. If the pose is not better by
    this margin, a warning is logged: symmetric sections have several poses of equal score, and no
    score can decide between them.

    Motions are composed along the row of slices up to the reference. Then slices at distance two
    are aligned as well, and all motions are adjusted to all these links by least squares, so that
    errors do not accumulate.

    The result does not depend on the initial poses of the slices (except on the reflection, if
    mirror images have equal scores) nor on units, which must be the same in all slices. The method
    is deterministic. Slices of more than 800 spots are coupled through the means of groups of
    neighbouring spots: time and memory grow linearly with the number of spots.

    Parameters
    ----------
    adata
        Spots of at least two slices.
    library_key
        Column of `adata.obs` with the slice of every spot. Slices are neighbours in the order of
        the categories; if that is alphabetical, numbers in the names are ordered as numbers.
    reference
        Slice whose frame is used. The middle one by default.
    method
        ``"nonrigid"`` adds a smooth deformation onto the neighbour, a thin-plate spline
        :cite:p:`Duchon1977`, if it improves the agreement of held-out spots.
    partial
        Whether neighbouring slices may overlap partly.
    reflections
        Whether slices may be reflected, if the scores are unambiguous.
    use_rep
        Representation of the state, common to all slices.
    %(n_dims)s
    spatial_key
        Key of `adata.obsm` with the coordinates, shape ``(n, 2)``.
    feature_weight
        Share of the state in the cost of a coupling, above 0 and at most 1.
    n_starts
        Number of initial angles, at least 4.
    key_added
        Name of the alignment.
    %(copy)s
    %(show_progress)s

    Returns
    -------
    None, or the copy. Sets the following fields, which :func:`scdiffot.get.alignment` reads:

    `adata.obsm["{key_added}_aligned"]` : array of shape ``(n, 2)``
        Coordinates in the frame and unit of the reference; NaN for spots without a slice.
    `adata.uns["{key_added}_slices"]`
        `table` (a row for every slice), `rotation` and `shift` of every slice, the same of the
        second best pose (`runner_up_rotation`, `runner_up_shift`), `warps` if there are any, and
        `params`.

    Raises
    ------
    KeyError
        If a column, key or slice does not exist.
    TypeError
        If an argument has the wrong type.
    ValueError
        If there is only one slice, coordinates are not two-dimensional or not finite, a slice has
        too few spots, or an argument is out of range. Nothing is written then.

    See Also
    --------
    scdiffot.tl.interpolate_slices : Virtual slices between aligned slices.
    scdiffot.tl.fit : Dynamics of tissues, which aligns time points.
    scdiffot.get.alignment : Read the motions.
    scdiffot.pl.slices : Plot the slices.

    Examples
    --------
    >>> import numpy as np, anndata as ad, scdiffot as sdo
    >>> p = np.random.default_rng(0).uniform(size=(200, 2)) * [3, 2]
    >>> wave = np.c_[np.sin(p), p[:, 0] ** 2]
    >>> turned = p @ [[0.8, 0.6], [-0.6, 0.8]] + [5, 1]
    >>> adata = ad.AnnData(np.r_[wave, wave], obsm={"spatial": np.r_[p, turned]})
    >>> adata.obs["slice"] = ["a"] * 200 + ["b"] * 200
    >>> sdo.tl.align_slices(adata, "slice", use_rep="X", show_progress=False)
    >>> sdo.get.alignment(adata).table.set_index("slice")["angle"].round(1).abs().to_dict()
    {'a': 0.0, 'b': 36.9}
    """
    keys = Keys(key_added)
    adata = as_writable(adata, copy=copy)
    if method not in METHODS:
        raise ValueError(f"`method` is {method!r}: pass one of {', '.join(map(repr, METHODS))}.")
    config = AlignConfig(
        reflections=_flag("reflections", reflections),
        partial=_flag("partial", partial),
        feature_weight=check_share("feature_weight", feature_weight),
        n_starts=check_count("n_starts", n_starts, 4),
    )
    slices = read_slices(
        adata,
        library_key,
        spatial_key=spatial_key,
        use_rep=use_rep,
        n_dims=n_dims,
        dimensions=(2,),
        n_min=2,
    )
    assert slices.states is not None
    names = slice_order(slices.names)
    centre = names[(len(names) - 1) // 2] if reference is None else str(reference)
    if centre not in names:
        raise KeyError(
            f"`reference` is {reference!r}, which is no slice of {library_key!r}. "
            f"{suggest(centre, names)}"
        )
    warn_units({name: slices.positions[slices.rows(name)] for name in names}, slices.spatial_key)
    chain, warps = _align(slices, names, centre, config, method, show_progress=show_progress)
    alignment = make_alignment(names, centre, chain, warps)
    alignment.warn()
    aligned = np.full((adata.n_obs, 2), np.nan)
    for name in names:
        rows = slices.rows(name)
        aligned[rows] = alignment.apply(slices.positions[rows], name)
    params = alignment_params(
        config,
        library_key,
        slices.spatial_key,
        slices.use_rep,
        slices.states.shape[1],
        reference=centre,
        method=method,
    )
    write_alignment(adata, keys, alignment, aligned=aligned, params=params)
    return adata if copy else None


def _align(
    slices: TissueSlices,
    names: list[str],
    centre: str,
    config: AlignConfig,
    method: str,
    *,
    show_progress: bool,
) -> tuple[Chain, dict[str, Warp | None]]:
    """Align all slices with the slice `centre`, and fit their deformations."""
    assert slices.states is not None
    rows = [slices.rows(name) for name in names]
    parts = [(slices.positions[r], slices.states[r].astype(np.float64)) for r in rows]
    n_steps = n_links(len(names)) + (len(names) - 1 if method == "nonrigid" else 0)
    warps: dict[str, Warp | None] = {}
    with cell_bar("pairs of slices", n_steps, show=show_progress) as progress:
        chain = align_chain(parts, names.index(centre), config=config, progress=progress)
        if method == "nonrigid":
            for i, name in enumerate(names):
                if name != centre:
                    warps[name] = _warp(parts, chain, i, config)
                    if progress is not None:
                        progress(1)
    return chain, warps


def _flag(name: str, value: bool) -> bool:
    """Check a flag."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"`{name}` is a {type(value).__name__}: pass True or False.")
    return bool(value)


def _warp(
    parts: list[tuple[np.ndarray, np.ndarray]], chain: Chain, i: int, config: AlignConfig
) -> Warp | None:
    """Deformation of a slice onto its neighbour, both in the frame of the reference."""
    neighbor, pair = chain.neighbors[i], chain.pairs[i]
    assert pair is not None
    (fixed, fixed_states), (moving, moving_states) = parts[neighbor], parts[i]
    return fit_warp(
        chain.poses[neighbor].apply(fixed),
        fixed_states,
        chain.poses[i].apply(moving),
        moving_states,
        partial=pair.partial,
        config=config,
    )
