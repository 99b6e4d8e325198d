"""Growth rates of cells from the expression of gene sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from scdiffot._data.read.checks import as_writable, format_list, is_mudata
from scdiffot._data.read.expression import check_counts, read_expression
from scdiffot._data.read.gene_names import find_genes, gene_names, listed_genes, names_source
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.logging import logger
from scdiffot._utils.names import check_key
from scdiffot._utils.rng import as_generator, global_generators

from ._gene_sets import APOPTOSIS, PROLIFERATION

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

# Centre and width of the logistic function from a score to a rate, as in Waddington-OT
BIRTH_LOGISTIC = (0.25, 0.5)
DEATH_LOGISTIC = (0.1, 0.2)
# Upper limit of log-normalised expression: the logarithm of a million counts is 14, or 20 to base
# two
MAX_LOG = 30.0
# With fewer genes of a built-in set, the names are probably not gene symbols.
MIN_GENES = 3


@fill_parameters
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
    r"""Estimate the net growth rate of every cell from the expression of cycle and death genes.

    As in Waddington-OT :cite:p:`Schiebinger2019`, rates of birth and death follow the scores
    :math:`s` of two gene sets from the lowest rate :math:`r_0` to the highest :math:`r_1`,

    .. math::
        r(s) = r_0 + \frac{r_1 - r_0}{1 + e^{-4 (s - c) / w}},

    with :math:`c = 0.25, w = 0.5` for birth and :math:`c = 0.1, w = 0.2` for death; growth is
    their difference. Scores are those of ``scanpy.tl.score_genes``: mean expression of the set
    above that of control genes of similar expression.

    Parameters
    ----------
    adata
        Cells; of a MuData, one modality.
    proliferation
        Names of genes that dividing cells express. By default genes of the S and G2/M phases
        :cite:p:`Tirosh2016`, as human or mouse symbols, depending on `adata.var_names`.
    apoptosis
        Names of genes that dying cells express. By default genes that promote apoptosis
        :cite:p:`Liberzon2015`.
    birth_rates
        Lowest and highest rate of division, **per unit of the time you will pass to** ``tl.fit``.
        The default is per day: doubling times between 55 and 10 hours.
    death_rates
        Lowest and highest rate of death, per unit of time.
    gene_symbols
        Column of `adata.var` with names of genes to use in place of `adata.var_names`.
    layer
        Layer with log-normalised expression; X by default.
    rng
        Seed or generator, for the choice of control genes.
    key_added
        Name of the column.
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.obs["{key_added}"]` : column
        Net growth rate, per unit of time: ``tl.fit(adata, time_key, growth_prior="{key_added}")``
        takes it.

    Raises
    ------
    KeyError
        If there is no such layer.
    TypeError
        If an argument has the wrong type, or `adata` is no AnnData.
    ValueError
        If none of the genes is in the data, expression is raw counts, or rates are not two
        non-negative numbers in increasing order. Nothing is written in these cases.

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
    ...     config={"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}},
    ... )
    """
    if is_mudata(adata):
        modality = next(iter(adata.mod), "rna")
        raise TypeError(f"`adata` is a MuData: pass one modality, such as mdata[{modality!r}].")
    adata = as_writable(adata, copy=copy)
    generator = as_generator(rng)
    check_key(key_added, "key_added")
    birth_limits = _check_rates("birth_rates", birth_rates)
    death_limits = _check_rates("death_rates", death_rates)
    names = gene_names(adata, gene_symbols)
    sets = {
        "proliferation": _find_set(
            names, "proliferation", proliferation, PROLIFERATION, gene_symbols
        ),
        "apoptosis": _find_set(names, "apoptosis", apoptosis, APOPTOSIS, gene_symbols),
    }
    scores = _score_sets(adata, _read_expression(adata, layer), sets, generator)
    birth = _logistic(scores["proliferation"].to_numpy(), birth_limits, BIRTH_LOGISTIC)
    death = _logistic(scores["apoptosis"].to_numpy(), death_limits, DEATH_LOGISTIC)
    adata.obs[key_added] = birth - death
    return adata if copy else None


def _read_expression(adata: AnnData, layer: str | None) -> Any:
    """Expression, checked to be log-normalised."""
    values = read_expression(adata, layer)
    check_counts(
        adata,
        values,
        layer,
        expect_counts=False,
        remedy="log-normalise them (scanpy.pp.normalize_total, log1p)",
    )
    highest = float(values.max())
    if highest > MAX_LOG:
        raise ValueError(
            f"`layer` {'None (X)' if layer is None else repr(layer)} holds values up to "
            f"{highest:.3g}, which are no logarithms: pass log-normalised expression "
            "(scanpy.pp.normalize_total, log1p)."
        )
    return values


def _score_sets(
    adata: AnnData,
    values: Any,
    sets: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Score of every cell for every set of genes, given by their columns."""
    import pandas as pd
    import scanpy

    labels = (
        adata.var_names if adata.var_names.is_unique else pd.RangeIndex(adata.n_vars).astype(str)
    )
    cells = AnnData(values, obs=adata.obs[[]], var=pd.DataFrame(index=labels))
    for name, columns in sets.items():
        seed = int(rng.integers(2**31))
        genes = cells.var_names[columns].tolist()
        try:
            with global_generators():
                scanpy.tl.score_genes(
                    cells, genes, score_name=name, random_state=seed, use_raw=False
                )
        except RuntimeError as error:
            raise ValueError(
                f"`adata` has {adata.n_vars} genes, none of which is expressed like those of "
                f"`{name}`, so there are no control genes to compare with: keep all genes, not a "
                "panel or the variable ones."
            ) from error
    return cells.obs


def _logistic(
    score: np.ndarray, limits: tuple[float, float], shape: tuple[float, float]
) -> np.ndarray:
    from scipy.special import expit

    centre, width = shape
    return limits[0] + (limits[1] - limits[0]) * expit(4 * (score - centre) / width)


def _check_rates(name: str, values: tuple[float, float]) -> tuple[float, float]:
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


def _find_set(
    names: np.ndarray, argument: str, genes: Any, built_in: str, gene_symbols: str | None
) -> np.ndarray:
    """Find the positions of those genes of a set that are in the data."""
    source, available = names_source(gene_symbols), {name for name in names if name is not None}
    if genes is not None:
        gene_list = listed_genes(genes, argument)
        matches = [g for g in gene_list if g in available]
        if not matches:
            raise ValueError(
                f"`{argument}` names {format_list(gene_list)}, none of which is among {source} "
                f"({format_list(available)})."
            )
        if len(matches) < len(gene_list):
            logger.warning(
                "`%s`: %s are not among %s.",
                argument,
                format_list(g for g in gene_list if g not in available),
                source,
            )
    else:
        human = built_in.split()
        matches = max(
            (
                [g for g in symbols if g in available]
                for symbols in (human, [g.capitalize() for g in human])
            ),
            key=len,
        )
        if len(matches) < MIN_GENES:
            raise ValueError(
                f"`{argument}` is None, but {source} has {len(matches)} of the {len(human)} genes "
                "of "
                "the built-in set, human or mouse: pass names of genes, or use symbols as names or "
                f"by `gene_symbols` (the names are {format_list(available)})."
            )
    return find_genes(names, matches, argument=argument, gene_symbols=gene_symbols)
