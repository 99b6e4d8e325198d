"""The fitted model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot._data.write.store import read_model
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot.core.nets.model import RUOTModel


@fill_parameters
def model(adata: AnnData | MuData, *, key: str = DEFAULT) -> RUOTModel:
    """Get the model of a fit, to evaluate its fields at any state and time.

    Parameters
    ----------
    adata
        Cells with a fit, also if read from a file.
    %(key)s

    Returns
    -------
    :class:`~scdiffot.core.RUOTModel` with the methods ``drift`` and ``flow`` (state per time),
    ``score`` (per state), ``growth`` (per time) and ``potential`` (nats) of states ``(n, d)`` and
    a time, all in the units of the data.

    Raises
    ------
    KeyError
        If there is no fit of this name.
    StoredFitError
        If the fit is damaged, or was stored by a newer version.

    See Also
    --------
    scdiffot.tl.fit : Fit the model.
    scdiffot.tl.simulate : Simulate trajectories of the model.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.get.model(adata).drift([[1.0, 1.0]], 0.5).shape
    (1, 2)
    """
    return read_model(adata, key)
