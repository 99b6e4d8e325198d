"""Motions that brought slices into one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot._data.write.alignment_store import read_alignment
from scdiffot._utils.keys import DEFAULT

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.write.alignment import SliceAlignment


def alignment(adata: AnnData | MuData, *, key: str = DEFAULT) -> SliceAlignment:
    """Get the motions that brought slices into one frame, to look at, to apply to other points, and to undo.

    Parameters
    ----------
    adata
        Spots that :func:`scdiffot.tl.align_slices` has aligned, perhaps read from a file.
    key
        Name of the alignment.

    Returns
    -------
    An object with the data frame `table`, a row for every slice, and the methods `apply(points, slice)`, from the coordinates of a
    slice as measured to the frame of the reference, and `invert(points, slice)`, the way back. Columns of `table`: ``slice``;
    ``reference``, whose frame it is; ``neighbor``, the slice it was aligned with; ``angle`` in degrees, counterclockwise; ``reflected``,
    whether the second axis is mirrored first; ``shift_x`` and ``shift_y``, which come last; ``score`` and ``overlap`` with the
    neighbour, at most 1; ``partial``, whether they overlap partly; ``deformed``; ``runner_up_angle``, ``runner_up_reflected`` and
    ``runner_up_score`` of the best pose of another kind, a mirror image or another rotation; ``margin``, the score less that of
    the runner-up, negative where a mirror image with a higher score lacks evidence; and ``min_margin``, the margin that
    chance could give: the pose is in doubt where `margin` is less. ``apply(points, slice, runner_up=True)`` gives the second pose.

    Raises
    ------
    KeyError
        If there is no alignment under this name.

    See Also
    --------
    scdiffot.tl.align_slices : Align the slices.
    scdiffot.pl.slices : Draw the aligned slices.

    Examples
    --------
    >>> import numpy as np, anndata as ad, scdiffot as sdo
    >>> p = np.random.default_rng(0).uniform(size=(200, 2)) * [3, 2]
    >>> wave = np.c_[np.sin(p), p[:, 0] ** 2]
    >>> turned = p @ [[0.8, 0.6], [-0.6, 0.8]] + [5, 1]
    >>> adata = ad.AnnData(np.r_[wave, wave], obsm={"spatial": np.r_[p, turned]})
    >>> adata.obs["slice"] = ["a"] * 200 + ["b"] * 200
    >>> sdo.tl.align_slices(adata, "slice", "a", use_rep="X", show_progress=False)
    >>> found = sdo.get.alignment(adata)
    >>> bool(np.allclose(found.apply(turned, "b"), p, atol=0.05))
    True
    >>> bool(np.allclose(found.invert(found.apply(turned, "b"), "b"), turned))
    True
    """
    return read_alignment(adata, key)
