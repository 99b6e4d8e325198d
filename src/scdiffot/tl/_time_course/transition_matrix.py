"""Transition probabilities between cells, for CellRank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot._analysis.neighbors import neighbor_graph
from scdiffot._data.read.checks import as_writable, check_count, check_share
from scdiffot._data.write.store import read_model, read_states, read_velocities
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.logging import logger
from scdiffot.core.lineage.transitions import transition_matrix as transition_matrix_core

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


@fill_parameters
def transition_matrix(
    adata: AnnData | MuData,
    *,
    n_neighbors: int = 30,
    connectivity_weight: float = 0.2,
    key: str = DEFAULT,
    copy: bool = False,
) -> AnnData | MuData | None:
    r"""Compute transition probabilities between cells from the drift and the noise of a fit.

    Cells are the states of a Markov chain. From cell :math:`i`, the chain steps to the cell itself
    or to one of its nearest neighbours in the space of the fit. The weights are those of a step of
    the stochastic differential equation of the fit,

    .. math::
        w_{ij} \propto \exp\Big( -\frac{\|x_j - x_i\|^2}{2 \sigma^2 \tau_i}
        + (x_j - x_i) \cdot \Big( \frac{b_i}{\sigma^2} - \frac{m_i}{c_i} \Big) \Big).

    Without the last term, this is the Gaussian around :math:`x_i + b_i \tau_i`. The duration
    :math:`\tau_i` is such that the root mean square length of the step equals the distance to the
    neighbours. The last term removes the sampling density, which would otherwise attract the walk:
    :math:`m_i` is the mean of the neighbours under the weights without drift, :math:`c_i` their
    variance per dimension. If the drift reaches the neighbours before noise can spread over five of
    them, :math:`\sigma^2 \tau_i` is widened to that spread. A step of the chain takes every cell
    the same time, the lower quartile of :math:`\tau`: a cell whose own duration is longer stays
    longer. Row sums are one: cells of the chain neither divide nor die.

    The drift is that at the time of the cell, and cells of all times are neighbours: the chain
    shows where cells go, step by step, and not when. For fates at a time, with growth, use
    :func:`scdiffot.tl.sta_forward`, which follows the equation itself.

    Parameters
    ----------
    %(fit)s
    n_neighbors
        Number of neighbours.
    connectivity_weight
        Share of symmetric connectivities of the neighbours in the probabilities. It makes every
        cell reachable from every other.
    %(key)s
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.obsp["{key}_T_fwd"]` : sparse matrix of shape ``(n, n)``
        Row i holds the probabilities of the next state of cell i. The chain is irreducible and
        aperiodic; if the neighbours leave parts of the data unconnected, the nearest pairs of cells
        are linked (and a warning is logged). For CellRank :cite:p:`Weiler2024`:
        ``cellrank.kernels.PrecomputedKernel("{key}_T_fwd", adata=adata)``.

    Raises
    ------
    KeyError
        If there is no fit.
    TypeError
        If a number is not one.
    ValueError
        If there are fewer than two neighbours or as many as cells, the weight does not lie between
        0 (not included) and 1, or `adata` cannot be used. Nothing is written then.

    See Also
    --------
    scdiffot.tl.fit : Learn the drift and the noise.
    scdiffot.tl.sta_forward : Fates at a time, with growth.
    scdiffot.tl.project : Velocities on an embedding.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.transition_matrix(adata)
    >>> adata.obsp["scdiffot_T_fwd"].sum(axis=1).round(6).min().item()
    1.0
    """
    keys = Keys(key, "key")
    adata = as_writable(adata, copy=copy)
    model = read_model(adata, key)
    n_neighbors = check_count("n_neighbors", n_neighbors, 2)
    if n_neighbors >= adata.n_obs:
        raise ValueError(
            f"`n_neighbors` is {n_neighbors}: pass at least 2 and less than the number of cells, "
            f"{adata.n_obs}."
        )
    # Without connectivities, the chain could not leave some parts of the data.
    connectivity_weight = check_share("connectivity_weight", connectivity_weight)
    states = read_states(adata, key)
    neighbors, links = neighbor_graph(states, n_neighbors)
    if len(links):
        logger.warning(
            "The neighbours leave %d parts of the data unconnected, which were linked at their "
            "nearest cells: steps between them are no prediction of the fit. More neighbours than "
            "`n_neighbors`=%d may connect them.",
            len(links) + 1,
            n_neighbors,
        )
    adata.obsp[keys.transitions] = transition_matrix_core(
        states,
        read_velocities(adata, key),
        model.sigma,
        neighbors=neighbors,
        links=links,
        connectivity_weight=connectivity_weight,
    )
    return adata if copy else None
