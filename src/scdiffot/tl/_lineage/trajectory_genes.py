"""Genes along trajectories."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._analysis.classifier import check_estimator
from scdiffot._analysis.sta_inputs import StaInputs
from scdiffot._data.read.checks import check_count, writable
from scdiffot._data.write.decoders import read_genes
from scdiffot._utils.keys import DEFAULT, OUTSIDE, TRAJECTORY_GENES, UNKNOWN, Keys
from scdiffot._utils.logging import logger
from scdiffot._utils.number_text import number_text
from scdiffot._utils.progress import cell_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.genes.trends import GeneTrends, follow, trends
from scdiffot.core.lineage.fate import N_STEPS
from scdiffot.core.scores.p_values import adjust_p_values

from .sta_forward import MANY_OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._analysis.classifier import Classifier

# A fate has trends if this share of the descendants has it, and they come from this many cells.
SEEN, FEWEST = 0.01, 3


def trajectory_genes(
    adata: AnnData | MuData,
    cell_key: str,
    source: str | float | np.ndarray | Iterable[str] | None = None,
    *,
    genes: str | Iterable[str] | None = None,
    target_time: float | str | None = None,
    n_cells: int = 1000,
    n_trajectories: int = 20,
    n_times: int = 21,
    band: tuple[float, float] = (0.1, 0.9),
    growth: bool | None = None,
    classifier: Any = None,
    n_neighbors: int = 30,
    n_steps: int | None = None,
    gene_symbols: str | None = None,
    decoder: Any = None,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
    copy: bool = False,
    show_progress: bool = True,
) -> AnnData | MuData | None:
    r"""Follow the expression of genes along simulated trajectories, and rank genes by how much it differs between fates.

    From every source cell stochastic paths run to the target time, as in :func:`scdiffot.tl.sta_forward`, and are decoded. The cell type
    at the end is the fate of a path; paths that end among cells without a type, or far from all, have none. The trend of a fate is the mean over the paths that end there, each of which counts by
    the number of its descendants at the end, at all times: at the start it is the expression of the source cells that the fate
    comes from.

    Genes are ranked by the *effect*: the mean over time of the difference between a fate and all others, divided by the standard
    deviation within them (Cohen's d, with the mean of both variances, over time). Its p value takes cells of origin as observations, since
    paths of one cell are not independent, and is corrected over all genes and fates by the procedure of Benjamini and Hochberg.
    It tells what is no chance of which cells were sampled and how paths fluctuate, given the fit. It does not tell cause: targets
    differ as much as regulators do, and types that were defined by genes differ in these (see :func:`scdiffot.tl.perturb_screen`).
    Decoded expression has no noise of measurement, so effects are larger than between measured cells, most of all for genes that
    hardly vary: mind the `difference` itself.

    Parameters
    ----------
    adata
        Cells with a fit.
    cell_key
        Column of `adata.obs` with the cell types.
    source
        Cells to follow, of one time: that time (number) or its label, a query of `adata.obs`, names of cells, or a boolean mask. The cells
        of the first time by default.
    genes
        Names of genes; by default all that the representation knows.
    target_time
        Time of the fates (number or label), at which cells were observed; the last by default.
    n_cells
        Largest number of cells to follow; of more, so many are drawn at random.
    n_trajectories
        Paths of every cell.
    n_times
        Number of times, equally spaced from start to end.
    band
        Quantiles of the paths that bands show.
    growth
        Whether to count that cells divide and die. By default, if the fit knows it.
    classifier
        Any classifier of scikit-learn with `predict_proba`. By default the shares of types among the nearest neighbours.
    n_neighbors
        Number of neighbours, at most a tenth of the cells.
    n_steps
        Steps in an interval between snapshots, 10 by default.
    gene_symbols
        Column of `adata.var` with names of genes to use in place of `adata.var_names`, here and in the result.
    decoder
        Decoder of the representation: an object with methods `encode` and `decode`, or a pair of functions, of tensors. By default what
        `adata` carries.
    rng
        Seed or generator.
    key
        Name of the fit.
    copy
        Whether to return a copy instead of writing into `adata`.
    show_progress
        Whether to show a progress bar.

    Returns
    -------
    None, or the copy. Sets the following field.

    `adata.uns["{key}"]["trajectory_genes"]`
        - ``times`` (S), ``genes`` (G), ``fates`` (F; those of at least a hundredth of the descendants), ``share`` of the descendants
          (F), ``n_effective`` (F), the effective number of cells that a fate comes from;
        - ``mean``, ``low``, ``high``, shape ``(F, S, G)``, in the unit that the representation was computed from;
        - ``ranking``: data frame with a row for every gene and fate, by decreasing size of the effect: ``gene``, ``fate``,
          ``effect``, ``difference`` from the other fates and its standard error ``se``, ``p``, ``p_adjusted``, ``time`` from which on the
          difference is at least half its maximum, ``change`` along the trajectories from start to end and its ``change_se``. With a
          single fate there is only change;
        - ``accuracy`` and ``accuracy_by_type`` of the classifier, as in :func:`scdiffot.tl.sta_forward`;
        - ``cell_key``, ``source_time``, ``target_time``, ``n_cells``, ``n_trajectories``, ``growth``, ``band``.

    Raises
    ------
    KeyError
        If there is no fit, column, time, cell or gene of that name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the representation has no decoder, source cells are of several times, the target does not come after them or has no cells
        with a type, `growth` is asked of a fit without it, a number is out of range, or no fate is reached. Nothing is written then.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.trajectory_genes(adata, "cell_type", n_trajectories=5)
    >>> adata.uns["scdiffot"]["trajectory_genes"]["mean"].shape[1:]
    (21, 2)
    """
    keys = Keys(key, "key")
    adata = writable(adata, copy=copy)
    setting = StaInputs.read(adata, cell_key, key)
    space = read_genes(adata, key, decoder, gene_symbols=gene_symbols)
    columns = space.named() if genes is None else space.find(genes)
    check_estimator(classifier)
    counts = {
        "n_cells": n_cells,
        "n_trajectories": n_trajectories,
        "n_times": n_times,
        "n_neighbors": n_neighbors,
    }
    for name, value in counts.items():
        check_count(name, value, 2 if name in ("n_cells", "n_times") else 1)
    steps = N_STEPS if n_steps is None else check_count("n_steps", n_steps, 1)
    low, high = _check_band(band)
    weighted = setting.check_growth(growth, "growth")
    target = setting.find_time(target_time, setting.model.times[-1], "target_time")
    goal = setting.typed_cells(target, "target_time")
    cells = setting.find_cells(adata, source, setting.model.times[0])
    starts = setting.times_of(cells)
    if len(starts) > 1:
        raise ValueError(
            f"`source` has cells of the times {', '.join(number_text(t) for t in starts)}: trends need one start, choose cells of one time."
        )
    start = float(starts[0])
    if start >= target:
        raise ValueError(
            f"`target_time` is {number_text(target)}, but the source cells are of time {number_text(start)}: name a later one."
        )
    if len(cells) < 2:
        raise ValueError(
            "`source` selects one cell: trends are compared over several, select more."
        )
    generator = as_generator(rng)
    if len(cells) > n_cells:
        cells = np.sort(generator.choice(cells, n_cells, replace=False))
    told = setting.classifier(goal, classifier, n_neighbors, generator)
    setting.warn_single_cells(goal, told)
    with cell_bar("Genes along trajectories", len(cells), show=show_progress) as progress:
        paths = follow(
            setting.model,
            setting.states[cells],
            np.linspace(start, target, n_times),
            n_trajectories=n_trajectories,
            growth=weighted,
            n_steps=steps,
            rng=generator,
            progress=progress,
        )
    probability = _fates(told, paths.states[-1])
    told.log_accuracy(setting.names)
    kept, share = _reached(probability, paths.log_w, setting, target)
    found = trends(
        paths,
        probability[:, :, kept],
        lambda z: space.decode(z)[:, columns],
        band=(low, high),
        rng=generator,
    )
    names, fates = space.names[columns].astype(str), np.array(setting.names)[kept]
    adata.uns[keys.uns][TRAJECTORY_GENES] = {
        "cell_key": cell_key,
        "source_time": start,
        "target_time": target,
        "n_cells": len(cells),
        "n_trajectories": n_trajectories,
        "growth": weighted,
        "accuracy": told.accuracy,
        "accuracy_by_type": told.accuracy_table(setting.names),
        "band": np.array([low, high]),
        "times": paths.times,
        "genes": names,
        "fates": fates,
        "share": share[kept],
        "n_effective": found.n_effective,
        **{name: getattr(found, name).astype(np.float32) for name in ("mean", "low", "high")},
        "ranking": _ranking(found, names, fates),
    }
    return adata if copy else None


def _check_band(band: Any) -> tuple[float, float]:
    if not (
        isinstance(band, tuple | list) and len(band) == 2 and all(isinstance(b, Real) for b in band)
    ):
        raise TypeError(f"`band` is {band!r}: pass two quantiles, such as (0.1, 0.9).")
    low, high = (float(b) for b in band)
    if not 0 <= low < high <= 1:
        raise ValueError(
            f"`band` is {band!r}: pass two quantiles from 0 to 1 that increase, such as (0.1, 0.9)."
        )
    return low, high


def _fates(told: Classifier, ends: np.ndarray) -> np.ndarray:
    """Probabilities (n, m, types and none) of the ends (n, m, d) of paths; zero outside."""
    known, outside = told(ends.reshape(-1, ends.shape[2]))
    return np.where(outside[:, None], 0.0, known).reshape(*ends.shape[:2], -1)


def _reached(
    probability: np.ndarray, log_w: np.ndarray, setting: StaInputs, target: float
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the types that are reached, and shares of all types."""
    w = np.exp(log_w.astype(np.float64) - log_w.max())
    by_cell = np.einsum("nm,nmk->nk", w, probability)
    share = by_cell.sum(axis=0) / w.sum()
    outside, unknown = 1 - float(share.sum()), float(share[-1])
    setting.warn_untyped(target, unknown, "descendants")
    by_cell, share = by_cell[:, :-1], share[:-1]
    if outside > MANY_OUTSIDE:
        logger.warning(
            "%.0f %% of the descendants end far from every cell of time %s, %r, and count for no fate.",
            100 * outside,
            number_text(target),
            OUTSIDE,
        )
    effective = np.square(by_cell.sum(axis=0)) / np.maximum(np.square(by_cell).sum(axis=0), 1e-300)
    kept = np.flatnonzero((share >= SEEN) & (effective >= min(FEWEST, len(w))))
    if len(kept) == 0:
        raise ValueError(
            f"`source` leads to no fate at {number_text(target)}: all paths end {OUTSIDE!r}, far from every cell of that time, {UNKNOWN!r}, among cells "
            "without a type, or come from too few cells. Select more cells, or another `target_time`."
        )
    if len(kept) == 1:
        logger.warning(
            "All paths lead to %r: there are trends, but no differences between fates to rank genes by.",
            setting.names[kept[0]],
        )
    return kept, share


def _ranking(found: GeneTrends, genes: np.ndarray, fates: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    numbers = {name: getattr(found, name).ravel() for name in ("effect", "difference", "se")}
    changes = {name: getattr(found, name).ravel() for name in ("time", "change", "change_se")}
    table = pd.DataFrame(
        {
            "gene": np.tile(genes, len(fates)),
            "fate": np.repeat(fates, len(genes)),
            **numbers,
            "p": found.p.ravel(),
            "p_adjusted": adjust_p_values(found.p.ravel()),
            **changes,
        }
    )
    size = table["effect"].fillna(table["change"]).abs()
    return table.iloc[np.argsort(-size.to_numpy(), kind="stable")].reset_index(drop=True)
