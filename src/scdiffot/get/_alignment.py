"""The transformations of an alignment of slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot._data.write.alignment_store import read_alignment
from scdiffot._utils.keys import DEFAULT

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.write.alignment import SliceAlignment


def alignment(adata: AnnData | MuData, *, key: str = DEFAULT) -> SliceAlignment:
    """Get the transformations of slices into one frame, to inspect, apply to points, or invert.

    Parameters
    ----------
    adata
        Spots that :func:`scdiffot.tl.align_slices` has aligned, also if read from a file.
    key
        Name of the alignment.

    Returns
    -------
    An object with the data frame `table`, a row for every slice, and two methods. `apply(points,
    slice)` maps the measured coordinates of a slice into the frame of the reference, and
    `invert(points, slice)` is the inverse. ``apply(points, slice, runner_up=True)`` applies the
    second-best pose.

    The columns of `table` are:

    - ``slice``;
    - ``reference``, the slice that defines the frame;
    - ``neighbor``, the slice it was aligned with;
    - ``reflected``, whether the second axis is mirrored, before the rotation;
    - ``angle`` of the rotation in degrees, counterclockwise;
    - ``shift_x`` and ``shift_y``, applied last;
    - ``score`` and ``overlap`` with the neighbour, at most 1;
    - ``partial``, whether they overlap only partly;
    - ``deformed``;
    - ``runner_up_angle``, ``runner_up_reflected`` and ``runner_up_score`` of the best pose of
      another kind, a mirror image or another rotation;
    - ``margin``, the score minus that of the runner-up, negative if a mirror image has a higher
      score without sufficient evidence;
    - ``min_margin``, the margin that chance could give: the pose is uncertain if `margin` is
      smaller.

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
    >>> result = sdo.get.alignment(adata)
    >>> bool(np.allclose(result.apply(turned, "b"), p, atol=0.05))
    True
    >>> bool(np.allclose(result.invert(result.apply(turned, "b"), "b"), turned))
    True
    """
    return read_alignment(adata, key)
