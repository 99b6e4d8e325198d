"""How fast cells grow, by what they express."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from scdiffot._data.read.checks import is_mudata, some, writable
from scdiffot._data.read.expression import check_counts, expression
from scdiffot._data.read.gene_names import find_genes, gene_names, listed_genes, place
from scdiffot._utils.logging import logger
from scdiffot._utils.names import check_key
from scdiffot._utils.optional import require
from scdiffot._utils.rng import as_generator, global_generators

from ._gene_sets import APOPTOSIS, PROLIFERATION

if TYPE_CHECKING:
    from collections.abc import Iterable

# Scores at which a rate is half-way between its limits, and over which it goes from one to the other, as in Waddington-OT.
BIRTH_LOGISTIC = (0.25, 0.5)
DEATH_LOGISTIC = (0.1, 0.2)
# No logarithm of normalised expression is higher: that of a million counts is 14, or 20 to the base of two.
MAX_LOG = 30.0
# Genes of a built-in set below which the names are probably no symbols.
N_LEAST = 3


def score_growth(
    adata: AnnData,
    *,
    proliferation: Iterable[str] | None = None,
    apoptosis: Iterable[str] | None = None,
    birth_rates: tuple[float, float] = (0.3, 1.7),
    death_rates: tuple[float, float] = (0.3, 1.7),
    gene_symbols: str | None = None,
    layer: str | None = None,
    rng: int | np.random.Generator = 0,
    key_added: str = "growth_prior",
    copy: bool = False,
) -> AnnData | None:
    r"""Guess the net growth rate of every cell from genes of division and death.

    As in Waddington-OT :cite:p:`Schiebinger2019`, rates of birth and death follow the scores :math:`s` of two gene sets from the
    lowest rate :math:`r_0` to the highest :math:`r_1`,

    .. math::
        r(s) = r_0 + \frac{r_1 - r_0}{1 + e^{-4 (s - c) / w}},

    with :math:`c = 0.25, w = 0.5` for birth and :math:`c = 0.1, w = 0.2` for death; growth is their difference. Scores are those of
    ``scanpy.tl.score_genes``: mean expression of the set above that of control genes of similar expression.

    Parameters
    ----------
    adata
        Cells; of a MuData, one modality.
    proliferation
        Names of genes that dividing cells express. By default genes of the S and G2/M phases :cite:p:`Tirosh2016`, human or mouse
        symbols, whichever `adata.var_names` has.
    apoptosis
        Names of genes that dying cells express. By default some that bring about apoptosis :cite:p:`Liberzon2015`.
    birth_rates
        Lowest and highest rate of division, **per unit of the time you will pass to** ``tl.fit``. The default is per day: doubling
        times between 55 and 10 hours.
    death_rates
        Lowest and highest rate of death, per unit of time.
    gene_symbols
        Column of `adata.var` with names of genes to use in place of `adata.var_names`.
    layer
        Layer with log-normalised expression; X by default.
    rng
        Seed or generator that draws control genes.
    key_added
        Name of the column.
    copy
        Whether to return a copy instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.obs["{key_added}"]` : column
        Net growth rate, per unit of time: ``tl.fit(adata, time_key, growth_prior="{key_added}")`` takes it.

    Raises
    ------
    ImportError
        If scanpy is not installed.
    KeyError
        If there is no such layer.
    TypeError
        If an argument has the wrong type, or `adata` is no AnnData.
    ValueError
        If none of the genes is there, expression is raw counts, or rates are not two rising numbers from zero. Nothing is written
        then.

    See Also
    --------
    scdiffot.tl.fit : Use the scores as `growth_prior`.
    scdiffot.pl.growth : Draw the growth rates of a fit.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.gene_network(60)
    >>> sdo.pp.score_growth(adata, proliferation=["x2"], apoptosis=["x3"])
    >>> sdo.tl.fit(
    ...     adata,
    ...     "time",
    ...     use_rep="X",
    ...     growth_prior="growth_prior",
    ...     sigma=0.1,
    ...     n_steps=30,
    ...     n_corrections=0,
    ... )
    """
    import pandas as pd

    if is_mudata(adata):
        raise TypeError(
            f"`adata` is a MuData: pass one modality, such as mdata[{next(iter(adata.mod), 'rna')!r}]."
        )
    adata = writable(adata, copy=copy)
    generator = as_generator(rng)
    check_key(key_added, "key_added")
    limits = {
        "birth_rates": _rates("birth_rates", birth_rates),
        "death_rates": _rates("death_rates", death_rates),
    }
    names = gene_names(adata, gene_symbols)
    sets = {
        "proliferation": _genes(names, "proliferation", proliferation, PROLIFERATION, gene_symbols),
        "apoptosis": _genes(names, "apoptosis", apoptosis, APOPTOSIS, gene_symbols),
    }
    scanpy = require("scanpy", extra="scanpy")
    values = expression(adata, layer)
    check_counts(
        adata,
        values,
        layer,
        wanted=False,
        remedy="log-normalise them (scanpy.pp.normalize_total, log1p)",
    )
    top = float(values.max())
    if top > MAX_LOG:
        raise ValueError(
            f"`layer` {'None (X)' if layer is None else repr(layer)} holds values up to {top:.3g}, which are no logarithms: pass "
            "log-normalised expression (scanpy.pp.normalize_total, log1p)."
        )
    labels = (
        adata.var_names if adata.var_names.is_unique else pd.RangeIndex(adata.n_vars).astype(str)
    )
    scored = AnnData(values, obs=adata.obs[[]], var=pd.DataFrame(index=labels))
    for name, columns in sets.items():
        seed = int(generator.integers(2**31))
        genes = scored.var_names[columns].tolist()
        try:
            with global_generators():
                scanpy.tl.score_genes(
                    scored, genes, score_name=name, random_state=seed, use_raw=False
                )
        except RuntimeError as error:
            raise ValueError(
                f"`adata` has {adata.n_vars} genes, none of which is expressed like those of `{name}`, so there is nothing to "
                "compare these with: keep all genes, not a panel or the variable ones."
            ) from error
    birth = _logistic(scored.obs["proliferation"].to_numpy(), limits["birth_rates"], BIRTH_LOGISTIC)
    death = _logistic(scored.obs["apoptosis"].to_numpy(), limits["death_rates"], DEATH_LOGISTIC)
    adata.obs[key_added] = birth - death
    return adata if copy else None


def _logistic(
    score: np.ndarray, limits: tuple[float, float], shape: tuple[float, float]
) -> np.ndarray:
    from scipy.special import expit

    centre, width = shape
    return limits[0] + (limits[1] - limits[0]) * expit(4 * (score - centre) / width)


def _rates(name: str, values: tuple[float, float]) -> tuple[float, float]:
    limits = np.asarray(values, dtype=object).ravel()
    if len(limits) != 2 or not all(isinstance(v, int | float | np.number) for v in limits):
        raise TypeError(
            f"`{name}` is {values!r}: pass the lowest and the highest rate, two numbers."
        )
    low, high = (float(v) for v in limits)
    if not 0 <= low <= high < np.inf:
        raise ValueError(
            f"`{name}` is {values!r}: pass two numbers from zero, the lower one first."
        )
    return low, high


def _genes(
    names: np.ndarray, argument: str, given: Any, built_in: str, gene_symbols: str | None
) -> np.ndarray:
    """Positions of the genes of a set that the data have."""
    where, there = place(gene_symbols), {name for name in names if name is not None}
    if given is not None:
        wanted = listed_genes(given, argument)
        known = [g for g in wanted if g in there]
        if not known:
            raise ValueError(
                f"`{argument}` names {some(wanted)}, none of which is among {where} ({some(there)})."
            )
        if len(known) < len(wanted):
            logger.warning(
                "`%s`: %s are not among %s.",
                argument,
                some(g for g in wanted if g not in there),
                where,
            )
    else:
        human = built_in.split()
        known = max(
            (
                [g for g in genes if g in there]
                for genes in (human, [g.capitalize() for g in human])
            ),
            key=len,
        )
        if len(known) < N_LEAST:
            raise ValueError(
                f"`{argument}` is None, but {where} has {len(known)} of the {len(human)} genes of the built-in set, human or "
                f"mouse: pass names of genes, or use symbols as names or by `gene_symbols` (there is {some(there)})."
            )
    return find_genes(names, known, argument=argument, gene_symbols=gene_symbols)
