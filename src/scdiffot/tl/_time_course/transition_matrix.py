"""Transition probabilities between cells, for CellRank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot._analysis.neighbors import neighbor_graph
from scdiffot._data.read.checks import check_count, check_share, writable
from scdiffot._data.write.store import read_model, read_states, read_velocities
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.logging import logger
from scdiffot.core.lineage.transitions import transition_matrix as transition_matrix_core

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def transition_matrix(
    adata: AnnData | MuData,
    *,
    n_neighbors: int = 30,
    connectivity_weight: float = 0.2,
    key: str = DEFAULT,
    copy: bool = False,
) -> AnnData | MuData | None:
    r"""Compute transition probabilities between cells from the drift and the noise of a fit.

    Cells are the states of a Markov chain. Each steps to itself or one of its nearest neighbours in the space of the fit, with
    the weights of the step that its stochastic differential equation takes,

    .. math::
        w_{ij} \propto \exp\Big( -\frac{\|x_j - x_i\|^2}{2 \sigma^2 \tau_i}
        + (x_j - x_i) \cdot \Big( \frac{b_i}{\sigma^2} - \frac{m_i}{c_i} \Big) \Big),

    which is the Gaussian around :math:`x_i + b_i \tau_i`, with :math:`\tau_i` such that the step is as long (in the root mean
    square) as the way to the neighbours. The mean :math:`m_i` of the neighbours under the weights without drift, over their
    variance :math:`c_i` per dimension, is taken out: a walk among cells is otherwise drawn to where many of them were sampled.
    Where the drift takes a cell to its neighbours before noise can spread over five of them, :math:`\sigma^2 \tau_i` is widened
    to that. A step of the chain takes every cell the same time, the lower quartile of :math:`\tau`: where its own is longer, a cell
    stays the longer. Row sums are one: a chain of cells that neither divide nor die.

    The drift is that at the time of the cell, and cells of all times are neighbours: the chain tells where cells go,
    step by step, and not when. For fates at a time, with growth, follow the equation itself (:func:`scdiffot.tl.sta_forward`).

    Parameters
    ----------
    adata
        Cells with a fit.
    n_neighbors
        Number of neighbours.
    connectivity_weight
        Share of symmetric connectivities of the neighbours, by which every cell can be reached from every other.
    key
        Name of the fit.
    copy
        Whether to return a copy instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.obsp["{key}_T_fwd"]` : sparse matrix of shape ``(n, n)``
        Row i holds the probabilities of the next state of cell i. The chain is irreducible and aperiodic; where the
        neighbours leave parts of the data unconnected, the nearest pairs of cells are linked (and a warning is logged).
        For CellRank :cite:p:`Weiler2024`: ``cellrank.kernels.PrecomputedKernel("{key}_T_fwd", adata=adata)``.

    Raises
    ------
    KeyError
        If there is no fit.
    TypeError
        If a number is not one.
    ValueError
        If there are fewer than two neighbours or as many as cells, the weight does not lie between 0 (not included) and 1, or
        `adata` cannot be used. Nothing is written then.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.transition_matrix(adata)
    >>> adata.obsp["scdiffot_T_fwd"].sum(axis=1).round(6).min().item()
    1.0
    """
    keys = Keys(key, "key")
    adata = writable(adata, copy=copy)
    model = read_model(adata, key)
    n_neighbors = check_count("n_neighbors", n_neighbors, 2)
    if n_neighbors >= adata.n_obs:
        raise ValueError(
            f"`n_neighbors` is {n_neighbors}: pass at least 2 and less than the number of cells, {adata.n_obs}."
        )
    # at 0 some parts of the data would never be left again
    connectivity_weight = check_share("connectivity_weight", connectivity_weight)
    states = read_states(adata, key)
    neighbors, links = neighbor_graph(states, n_neighbors)
    if len(links):
        logger.warning(
            "The neighbours leave %d parts of the data unconnected, which were linked at their nearest cells: steps between them "
            "are no prediction of the fit. More neighbours than `n_neighbors`=%d may connect them.",
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
