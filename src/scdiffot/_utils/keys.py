"""All keys that the package writes into an AnnData."""

from __future__ import annotations

from dataclasses import InitVar, dataclass

from .names import check_key

DEFAULT = "scdiffot"

# Entries of uns[key]
PARAMS = "params"
HISTORY = "history"
STATE = "state"
VALIDATION = "validation"
FATE = "fate"
ANCESTRY = "ancestry"
LANDSCAPE = "landscape"
REGULATION = "regulation"
GROWTH_GENES = "growth_genes"
TRAJECTORY_GENES = "trajectory_genes"
PERTURBATION = "perturbation"
PERTURB_SCREEN = "perturb_screen"

# Entry of uns["{key}_response"] beside its parameters and history
RESPONSE_MODEL = "model"

# Name of the group of all cells in tables by group
ALL = "all"

# Class of descendants that are far from every cell
OUTSIDE = "outside"

# Class of descendants among cells that have no type
UNKNOWN = "unknown"

# Columns of the AnnData that `tl.interpolate` returns
TIME = "time"
WEIGHT = "weight"

# Column and entry of uns of the AnnData that `tl.interpolate_slices` returns, beside WEIGHT
DEPTH = "depth"
INTERPOLATION = "interpolation"

# Entries of uns["{key}_transfer"] beside its parameters
GENES = "genes"
SCORES = "scores"


@dataclass(frozen=True)
class Keys:
    """Keys of one run.

    Parameters
    ----------
    uns
        Name of the run (`key_added` for writing, `key` for reading): its entry of `uns`, and the
        prefix of all other keys.
    argument
        Name of the user's argument, for the messages.

    Raises
    ------
    TypeError
        If the name is not a string.
    ValueError
        If files of AnnData cannot hold it, for example because it is empty or has a slash.

    Examples
    --------
    >>> Keys("fit2").velocity
    'fit2_velocity'
    """

    uns: str = DEFAULT
    argument: InitVar[str] = "key_added"

    def __post_init__(self, argument: str) -> None:
        check_key(self.uns, argument)

    @property
    def velocity(self) -> str:
        """Drift of the states in `obsm`, and of genes in `layers`."""
        return f"{self.uns}_velocity"

    @property
    def flow(self) -> str:
        """Probability-flow velocity in `obsm`."""
        return f"{self.uns}_flow"

    @property
    def score(self) -> str:
        """Gradient of the log-density in `obsm`."""
        return f"{self.uns}_score"

    @property
    def growth(self) -> str:
        """Net growth rate in `obs`."""
        return f"{self.uns}_growth"

    @property
    def potential(self) -> str:
        """Negative log-density in `obs`."""
        return f"{self.uns}_potential"

    @property
    def growth_prior(self) -> str:
        """Prior growth rate in `obs`, if it was passed as an array."""
        return f"{self.uns}_growth_prior"

    @property
    def fate(self) -> str:
        """Fate composition of the descendants in `obsm`."""
        return f"{self.uns}_fate"

    @property
    def fate_se(self) -> str:
        """Monte-Carlo standard errors of the fate composition in `obsm`."""
        return f"{self.uns}_fate_se"

    @property
    def fate_path(self) -> str:
        """Fate probabilities of single trajectories in `obsm`, without growth."""
        return f"{self.uns}_fate_path"

    @property
    def n_descendants(self) -> str:
        """Expected number of descendants in `obs`."""
        return f"{self.uns}_n_descendants"

    @property
    def n_descendants_se(self) -> str:
        """Monte-Carlo standard error of the number of descendants in `obs`."""
        return f"{self.uns}_n_descendants_se"

    @property
    def fate_ess(self) -> str:
        """Effective number of trajectories in `obs`."""
        return f"{self.uns}_fate_ess"

    @property
    def commitment_time(self) -> str:
        """Mean time at which the fate is decided in `obs`."""
        return f"{self.uns}_commitment_time"

    @property
    def ancestry(self) -> str:
        """Density of ancestors over earlier cells in `obsm`."""
        return f"{self.uns}_ancestry"

    @property
    def fingerprint(self) -> str:
        """Numbers of cells in `obsm` and of genes in `varm` that identify changes of the states."""
        return f"{self.uns}_fingerprint"

    @property
    def transitions(self) -> str:
        """Transition probabilities between cells in `obsp`."""
        return f"{self.uns}_T_fwd"

    @property
    def response(self) -> str:
        """Fitted response in `uns`, and response vectors in `obsm`."""
        return f"{self.uns}_response"

    @property
    def predicted(self) -> str:
        """State after a treatment in `obsm`, and its genes in `layers`."""
        return f"{self.uns}_predicted"

    @property
    def prediction(self) -> str:
        """Response, treatment and dose of a prediction in `uns`."""
        return f"{self.uns}_prediction"

    @property
    def untreated(self) -> str:
        """State without the treatment in `obsm`."""
        return f"{self.uns}_untreated"

    @property
    def effect_size(self) -> str:
        """Transport cost of the response in `obs`."""
        return f"{self.uns}_effect_size"

    @property
    def survival(self) -> str:
        """Expected number of survivors of each cell after a treatment in `obs`."""
        return f"{self.uns}_survival"

    @property
    def response_cluster(self) -> str:
        """Cluster of the response in `obs`."""
        return f"{self.uns}_response_cluster"

    @property
    def response_evaluation(self) -> str:
        """Scores of responses on held-out cells, in `uns`."""
        return f"{self.uns}_response_evaluation"

    @property
    def response_subpopulations(self) -> str:
        """Responses of groups of cells, in `uns`."""
        return f"{self.uns}_response_subpopulations"

    @property
    def response_features(self) -> str:
        """Responses of genes, in `uns`."""
        return f"{self.uns}_response_features"

    @property
    def migration(self) -> str:
        """Velocity in the tissue in `obsm`."""
        return f"{self.uns}_migration"

    @property
    def aligned(self) -> str:
        """Coordinates in the frame of the reference slice in `obsm`."""
        return f"{self.uns}_aligned"

    @property
    def slices(self) -> str:
        """Alignment of slices in `uns`."""
        return f"{self.uns}_slices"

    @property
    def domain(self) -> str:
        """Spatial domain in `obs`."""
        return f"{self.uns}_domain"

    @property
    def domain_probability(self) -> str:
        """Probabilities of the domains in `obsm`."""
        return f"{self.uns}_domain_probability"

    @property
    def domains(self) -> str:
        """Parameters of the spatial domains, in `uns`."""
        return f"{self.uns}_domains"

    @property
    def spatial_genes(self) -> str:
        """Genes with a spatial pattern, in `uns`."""
        return f"{self.uns}_spatial_genes"

    @property
    def transferred(self) -> str:
        """Genes of another slice in `obsm`."""
        return f"{self.uns}_transferred"

    @property
    def transfer(self) -> str:
        """Scores of the transfer of genes in `uns`."""
        return f"{self.uns}_transfer"

    def projection(self, basis: str) -> str:
        """Velocity on an embedding, in `obsm`; a modality and the `X_` of `basis` are left out."""
        return f"{self.uns}_velocity_{basis.rpartition(':')[2].removeprefix('X_')}"
