"""Every key that the package writes into an AnnData, in one place."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT = "scdiffot"

# Entries of uns[key]
PARAMS = "params"
HISTORY = "history"
STATE = "state"
VALIDATION = "validation"

# Columns of the AnnData that `tl.interpolate` returns
TIME = "time"
WEIGHT = "weight"


@dataclass(frozen=True)
class Keys:
    """The keys of one run.

    Parameters
    ----------
    uns
        Name of the run (`key_added` where it is written, `key` where it is read): its entry of `uns`, and the prefix
        of everything else.

    Raises
    ------
    TypeError
        If the name is not a string.
    ValueError
        If it is empty or contains a slash, which separates levels in the files of AnnData.

    Examples
    --------
    >>> Keys("fit2").velocity
    'fit2_velocity'
    """

    uns: str = DEFAULT

    def __post_init__(self) -> None:
        if not isinstance(self.uns, str):
            raise TypeError(f"`key_added` is a {type(self.uns).__name__}: pass a string, the name of the run.")
        if not self.uns or "/" in self.uns:
            raise ValueError(f"`key_added` is {self.uns!r}: pass a name that is not empty and has no '/'.")

    @property
    def velocity(self) -> str:
        """Drift in `obsm`."""
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
        """Prior growth rate in `obs`, where it was given as an array."""
        return f"{self.uns}_growth_prior"

    def projection(self, basis: str) -> str:
        """Velocity on an embedding, in `obsm`; `basis` may carry a modality and the `X_` of its own key."""
        return f"{self.uns}_velocity_{basis.rpartition(':')[2].removeprefix('X_')}"
