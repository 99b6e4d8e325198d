"""Domains of a tissue with similar surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._analysis.domain_models import leiden, mixture
from scdiffot._analysis.spatial_graphs import check_sliced, link_spots
from scdiffot._data.read.checks import as_writable, check_count
from scdiffot._data.read.extract import read_representation
from scdiffot._data.read.slices import read_slices
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.rng import as_generator, rng_name
from scdiffot.core.spatial.domains.smoothing import order_by_size, smooth_probabilities

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

EMBEDDING = "X_spatial"
# Least mean number of spots of a domain.
MIN_SPOTS = 2


@fill_parameters
def spatial_domains(
    adata: AnnData | MuData,
    n_domains: int | None = None,
    *,
    use_rep: str = EMBEDDING,
    n_dims: int | None = None,
    method: Literal["mixture", "leiden"] = "mixture",
    n_init: int = 20,
    refine: int = 0,
    n_neighbors: int = 12,
    spatial_key: str = "spatial",
    library_key: str | None = None,
    connectivity_key: str | None = None,
    rng: int | np.random.Generator = 0,
    key_added: str = DEFAULT,
    copy: bool = False,
) -> AnnData | MuData | None:
    r"""Divide a tissue into domains by the surroundings of its spots.

    With ``method="mixture"``, the spots of domain k are normally distributed around its mean, with
    one covariance for all domains: the best fit by expectation maximisation from many starts by
    k-means. All slices are divided together, so that a domain has the same name in all of them. For
    slices of different platforms, this needs ``batch_correction`` in
    :func:`scdiffot.pp.spatial_embedding`.

    By default the Bayesian information criterion (BIC) :cite:p:`Schwarz1978` selects the number of
    domains. Means of overlapping surroundings are not independent: n spots are equivalent to
    :math:`n / m` observations, where m is the number of independent spots in a mean. Surroundings
    across a border lie between two domains and may resemble a domain of their own. Therefore the
    number must also fit the states of single spots given their domains, where n spots are
    equivalent to :math:`n / m^{2/3}` observations: the smaller of the two numbers is used.

    Parameters
    ----------
    adata
        Spots, with the result of :func:`scdiffot.pp.spatial_embedding`.
    n_domains
        Number of domains. By default that of the least BIC (``"mixture"``), or that of leiden at
        resolution 1.
    use_rep
        Representation of the surroundings.
    %(n_dims)s
    method
        ``"mixture"``; or ``"leiden"`` :cite:p:`Traag2019`, communities of the graph of neighbours
        in the representation, by scanpy.
    n_init
        Number of starts of a mixture.
    refine
        Number of times to average the probabilities over a spot and its neighbours, which removes
        single spots. The surroundings in the representation are usually sufficient.
    n_neighbors
        Number of nearest spots over which `refine` averages.
    spatial_key
        Key of `adata.obsm` with the coordinates, for `refine`.
    library_key
        Column of `adata.obs` with the slice of every spot, for `refine`; by default all spots are
        one slice.
    connectivity_key
        Entry of `adata.obsp` with links for `refine` to use instead, such as
        ``"spatial_connectivities"`` by squidpy.
    %(rng)s
    key_added
        Prefix of all names that are written.
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following fields:

    `adata.obs["{key_added}_domain"]` : categorical column
        The most likely domain: ``"0"`` has the most spots, ``"1"`` the second most.
    `adata.obsm["{key_added}_domain_probability"]` : DataFrame of shape ``(n, k)``
        Probabilities of all domains. For leiden, half of the probability belongs to the community
        of the spot, half to those of its neighbours.
    `adata.uns["{key_added}_domains"]` : dict
        ``params``; for a mixture, ``log_likelihood`` per spot, ``log_likelihoods`` of all starts,
        and, if the number was selected, ``bic`` and ``bic_spots`` of 1, 2, ... domains; for leiden,
        the ``resolution``.

    Raises
    ------
    ImportError
        If `method` is leiden, and igraph is not installed.
    KeyError
        If a key does not exist.
    TypeError
        If an argument or an array has the wrong type.
    ValueError
        If a number is out of range, or representation or coordinates cannot be used. Nothing is
        written then.

    See Also
    --------
    scdiffot.pp.spatial_embedding : The representation of the surroundings.
    scdiffot.tl.spatial_genes : Genes that mark domains.

    Examples
    --------
    >>> import numpy as np
    >>> import anndata as ad
    >>> import scdiffot as sdo
    >>> rng = np.random.default_rng(0)
    >>> xy = rng.uniform(size=(200, 2))
    >>> states = rng.normal(size=(200, 5)) + (xy[:, :1] > 0.4)
    >>> adata = ad.AnnData(states, obsm={"spatial": xy})
    >>> sdo.pp.spatial_embedding(adata, use_rep="X")
    >>> sdo.tl.spatial_domains(adata, 2)
    >>> right = xy[:, 0] > 0.4
    >>> bool(((adata.obs["scdiffot_domain"] == "0") == right).mean() > 0.9)
    True
    """
    keys = Keys(key_added)
    if method not in ("mixture", "leiden"):
        raise ValueError(f"`method` is {method!r}: pass 'mixture' or 'leiden'.")
    n_init, refine = check_count("n_init", n_init, 1), check_count("refine", refine, 0)
    n_neighbors = check_count("n_neighbors", n_neighbors, 1)
    generator = as_generator(rng)
    adata = as_writable(adata, copy=copy)
    if use_rep == EMBEDDING and EMBEDDING not in adata.obsm:
        raise KeyError(
            f"`use_rep` is {use_rep!r}, which is no key of obsm: run "
            "scdiffot.pp.spatial_embedding(adata) first, or name another representation."
        )
    features, name = read_representation(adata, use_rep, n_dims=n_dims)
    if n_domains is not None:
        n_domains = _check_domains(n_domains, len(features))
    links = None
    if refine:
        slices = read_slices(adata, library_key, spatial_key=spatial_key)
        check_sliced(adata, slices, library_key)
        links = link_spots(
            adata, slices, n_neighbors=n_neighbors, connectivity_key=connectivity_key
        )
    features = features.astype(np.float64)
    info: dict[str, Any]
    if method == "mixture":
        n_averaged, states = _averaged_states(adata, name)
        probabilities, info = mixture(
            features, n_domains, n_init=n_init, n_averaged=n_averaged, states=states, rng=generator
        )
    else:
        probabilities, info = leiden(features, n_domains, rng=generator)
    if links is not None:
        probabilities = smooth_probabilities(probabilities, links, refine)
    params = {
        "use_rep": name,
        "n_dims": features.shape[1],
        "method": method,
        "n_domains": 0 if n_domains is None else n_domains,
        "n_init": n_init,
        "refine": refine,
        "n_neighbors": n_neighbors,
        "spatial_key": spatial_key,
        "library_key": library_key or "",
        "connectivity_key": connectivity_key or "",
        "rng": rng_name(rng),
    }
    _write(adata, keys, probabilities, {"params": params, **info})
    return adata if copy else None


def _check_domains(n_domains: int, n_spots: int) -> int:
    """Check the number of domains."""
    n_domains = check_count("n_domains", n_domains, 1)
    if n_domains > n_spots / MIN_SPOTS:
        raise ValueError(
            f"`n_domains` is {n_domains}, but there are {n_spots} spots: pass "
            f"{n_spots // MIN_SPOTS} at most."
        )
    return n_domains


def _averaged_states(adata: AnnData | MuData, name: str) -> tuple[float, np.ndarray | None]:
    """Number of spots per independent observation of a spatial embedding, and its averaged states.

    Other representations are not averages: the number is 1. There are no states either if Harmony
    has changed them.
    """
    entry = adata.uns.get(name)
    if not (hasattr(entry, "keys") and "n_averaged" in entry):
        return 1.0, None
    n_averaged, params = float(entry["n_averaged"]), entry["params"]
    try:
        states, _ = read_representation(adata, str(params["use_rep"]), n_dims=int(params["n_dims"]))
    except KeyError:
        return n_averaged, None
    if params["batch_correction"]:
        return n_averaged, None
    states = states.astype(np.float64)
    return n_averaged, states @ entry["loadings"] if "loadings" in entry else states


def _write(
    adata: AnnData | MuData, keys: Keys, probabilities: np.ndarray, entry: dict[str, Any]
) -> None:
    """Write the domains in the order of their sizes."""
    import pandas as pd

    probabilities = probabilities[:, order_by_size(probabilities)]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    names = [str(k) for k in range(probabilities.shape[1])]
    labels = pd.Categorical.from_codes(probabilities.argmax(axis=1), pd.Index(names))
    adata.obs[keys.domain] = labels
    adata.obsm[keys.domain_probability] = pd.DataFrame(
        probabilities, index=adata.obs_names, columns=names
    )
    adata.uns[keys.domains] = entry
    # Colours of earlier domains do not apply to the new ones.
    adata.uns.pop(f"{keys.domain}_colors", None)
