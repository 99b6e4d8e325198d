"""Options of an evaluation of responses: methods, splits and the decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from scdiffot._data.read.checks import check_share, format_list, listed_names
from scdiffot._data.read.labels import cell_labels
from scdiffot._data.responses.evaluation import class_folds, random_folds
from scdiffot._data.write.decoders import gene_space
from scdiffot._utils.logging import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.responses.evaluation import Fold
    from scdiffot._data.responses.groups import ResponseCells


def method_names(methods: str | Iterable[str]) -> list[Literal["flow", "convex"]]:
    """Methods to evaluate, each once."""
    names: list[Any] = list(dict.fromkeys(listed_names("methods", methods)))
    if not names or not set(names) <= {"flow", "convex"}:
        raise ValueError(
            f"`methods` is {format_list(names) or 'empty'}: pass 'flow', 'convex' or both."
        )
    return names


def check_split(
    split: str,
    context: str | None,
    held_out: Any,
    held_out_key: str | None,
    n_splits: int,
    test_size: float,
) -> None:
    """Refuse an unknown split, and arguments that belong to another split."""
    if split not in ("iid", "oos", "ood"):
        raise ValueError(f"`split` is {split!r}: pass 'iid', 'oos' or 'ood'.")
    if split == "oos" and context is None:
        raise ValueError(
            "`context` is missing: split 'oos' holds out contexts; name their column, such as "
            "that of donors."
        )
    if split == "ood" and held_out_key is None:
        raise ValueError(
            "`held_out_key` is missing: split 'ood' holds out the classes of a column; name it."
        )
    if held_out_key is not None and split != "ood":
        raise ValueError(
            f"`held_out_key` was given, which split {split!r} does not know: leave it out, or pass "
            "'ood'."
        )
    if held_out is not None and split == "iid":
        raise ValueError(
            f"`held_out` was given, which split {split!r} does not know: leave it out, or pass "
            "'oos' or 'ood'."
        )
    if split != "iid" and n_splits != 1:
        raise ValueError(
            f"`n_splits` is {n_splits}, but split {split!r} has one fold for each class: leave it "
            "out."
        )
    if check_share("test_size", test_size) == 1:
        raise ValueError(
            "`test_size` is 1, which leaves nothing to train on: pass a number below 1."
        )


def score_decoder(
    adata: AnnData | MuData, cells: ResponseCells, genes: bool | None
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Decoder for the scores of genes; None, with a warning, if there is none."""
    if genes is False:
        return None
    try:
        return gene_space(adata, cells.use_rep, cells.states.shape[1]).decode
    except ValueError as error:
        if genes:
            raise
        logger.warning("All scores are of states, none of genes: %s", error)
        return None


def make_folds(
    adata: AnnData | MuData,
    cells: ResponseCells,
    split: str,
    held_out: Any,
    column: str | None,
    *,
    n_splits: int,
    test_size: float,
    rng: np.random.Generator,
) -> list[Fold]:
    """Divide cells into folds, at random or by the classes of a column of `adata.obs`."""
    if split == "iid":
        return random_folds(cells, n_splits, test_size, rng)
    argument = "context" if split == "oos" else "held_out_key"
    codes, names = cell_labels(adata, str(column), argument=argument)
    return class_folds(cells, codes, names, held_out=held_out, column=str(column))
