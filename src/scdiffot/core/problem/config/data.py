"""Settings of the steps before training: scales, outliers, selection and coupling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scdiffot._utils.options import MAX_LANDMARKS, MAX_PAIRS

from .setting import Settings, setting


@dataclass(frozen=True)
class ScaleConfig(Settings):
    """Scales of the data, computed before training.

    See Also
    --------
    FitConfig : All settings of a fit.
    """

    GROUP: ClassVar[str] = "scale"

    smoothing: float = setting(
        0.7,
        "Standard deviation of the noise that smooths cells.",
        high=100,
        unit="median distance to the nearest neighbour of rank `neighbour`, over the square root "
        "of the dimension",
    )
    neighbour: int = setting(
        5, "Rank of the nearest neighbour whose distance is the scale of smoothing.", low=1
    )
    min_width: float = setting(
        0.02,
        "Smallest width of smoothing. The score of a narrower cloud is mostly noise.",
        unit="standard deviations of the state",
        source="increases the standard deviation of a cloud by 0.02 %",
    )
    n_reference: int = setting(
        20_000, "Cells of a snapshot among which nearest neighbours are searched.", low=2
    )
    n_subsample: int = setting(
        500, "Cells of a snapshot whose distances give the scales of smoothing and alpha.", low=2
    )
    min_relative_eps: float = setting(
        1e-3,
        "Smallest entropy of a coupling.",
        above=True,
        unit="mean squared distance between the two snapshots",
    )
    nearest_share: float = setting(
        0.01,
        "Share of the earlier snapshot that is near enough to contain the ancestor of a cell. "
        "Alpha is the squared distance to it.",
        above=True,
        high=1,
    )
    ancestor_quantile: float = setting(
        0.9, "Share of the cells of the later snapshot that are within that distance.", high=1
    )
    min_alpha: float = setting(
        1e-4, "Smallest default of alpha.", above=True, unit="squared solver's unit of state"
    )
    min_cells_at_wall: int = setting(
        3,
        "Fewest cells exactly at the minimum or maximum of a dimension that make it a reflecting "
        "boundary.",
        low=1,
    )
    min_share_at_wall: float = setting(1e-3, "Smallest share of all cells that lie there.", high=1)


@dataclass(frozen=True)
class OutlierConfig(Settings):
    """Isolated cells, which are excluded from training.

    See Also
    --------
    FitConfig : All settings of a fit.
    """

    GROUP: ClassVar[str] = "outliers"

    min_distance: float = setting(
        10.0,
        "Distance to the second nearest cell above which a cell is isolated.",
        above=True,
        unit="root mean square distance of the core to the median",
        source="at most 5.1 in published data (components of scaled counts of 781 blood "
        "progenitors)",
    )
    core_share: float = setting(
        0.9, "Share of the cells, those nearest to the median, that define the width.", high=1
    )
    max_cells: int = setting(
        5,
        "Largest number of isolated cells, unless `max_share` is more. More are a population or a "
        "heavy tail, and remain.",
    )
    max_share: float = setting(0.01, "Largest share of isolated cells in large data.", high=1)
    max_share_small: float = setting(0.1, "Largest share of isolated cells in small data.", high=1)


@dataclass(frozen=True)
class SelectionConfig(Settings):
    """Selection of path, alpha and sigma, by left-out snapshots and by the residual.

    See Also
    --------
    FitConfig : All settings of a fit.
    """

    GROUP: ClassVar[str] = "selection"

    n_cells: int = setting(400, "Cells of a snapshot in a coupling of the selection.", low=10)
    n_iterations: int = setting(
        100,
        "Sinkhorn iterations of such a coupling. Pairs are drawn with exact marginals even if it "
        "has not converged, and candidates differ by more than the remaining error.",
        low=1,
    )
    sigmas: tuple[float, ...] = setting(
        (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
        "Candidates of sigma, in increasing order.",
        high=100,
        unit="standard deviations of the state per square root of a mean interval",
    )
    default_sigma: float = setting(
        0.1,
        "Sigma of a fit of two snapshots, of which none can be left out.",
        high=100,
        unit="that of `sigmas`",
    )
    alpha_factors: tuple[float, ...] = setting(
        (4.0, 2.0, 1.0),
        "Candidates of alpha, in the order of preference.",
        above=True,
        unit="geometric scale of alpha",
    )
    tolerance: float = setting(
        0.02,
        "Increase of the prediction error, relative to the best candidate, within which the "
        "preferred candidate is taken.",
    )
    autonomous_tolerance: float = setting(
        0.05,
        "The same for the sigma of autonomous fields. Such a field contracts onto its attractors: "
        "with too little noise its populations are too narrow, so a larger sigma is preferred.",
    )
    refine_sigma: bool = setting(
        True, 'Whether autonomous fields refine an "auto" sigma by the residual of the fields.'
    )
    sigma_step: float = setting(
        1.3,
        "Factor of sigma between two rounds of this search.",
        low=1,
        above=True,
        source="finds 0.26 on the simulated circuit (MISA), where the truth is 0.27",
    )
    max_sigma_ratio: float = setting(
        1.8,
        "Bound of the ratio of sigma to its initial value, which stops the search after two steps. "
        "Measurement noise does not accumulate with time, but any larger sigma explains it better.",
        low=1,
        source="as `sigma_step`",
    )
    n_constant_rounds: int = setting(
        1, "Rounds of correction at the end, in which sigma is constant."
    )
    n_misfit_rows: int = setting(
        3, "Last rows of the log of a round, of 25 steps each, that give its misfit.", low=1
    )


@dataclass(frozen=True)
class CouplingConfig(Settings):
    """Couplings of consecutive snapshots, and pairs drawn from them.

    See Also
    --------
    FitConfig : All settings of a fit.
    """

    GROUP: ClassVar[str] = "coupling"

    n_landmarks: int = setting(
        2000, "Cells of a snapshot in one coupling.", low=2, high=MAX_LANDMARKS
    )
    n_rounds: int = setting(
        3,
        "Couplings of a snapshot with more cells than landmarks, each of a new subset of cells and "
        "started from the potentials of the previous one.",
        low=1,
        high=1000,
    )
    n_pairs: int = setting(
        20_000, "Pairs drawn from the coupling of an interval.", low=1, high=MAX_PAIRS
    )
