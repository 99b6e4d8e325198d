"""Read a fitted response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_adata, suggest
from scdiffot._data.write.entry_layouts import RESPONSE_PARAMS
from scdiffot._data.write.seals import check_seal
from scdiffot._utils import keys as _keys
from scdiffot._utils.errors import StoredFitError, damaged
from scdiffot._utils.keys import Keys
from scdiffot._utils.layouts import read
from scdiffot._utils.stored_json import is_number
from scdiffot.core.response import ResponseModel

from .treatments import Treatments

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def read_response(adata: AnnData | MuData, key: str, argument: str = "key") -> dict[str, Any]:
    """Read a fitted response: ``params`` as they were passed, ``history``, ``model``, ``targets``.

    Raises
    ------
    KeyError
        If there is no response of this name.
    StoredFitError
        If it is damaged, of a newer version, or something else.
    """
    check_adata(adata, "adata" if argument == "key" else argument)
    keys = Keys(key, "key")
    entry = adata.uns.get(keys.response)
    place = f"adata.uns[{keys.response!r}]"
    run_names = [
        name.removesuffix("_response") for name, other in adata.uns.items() if is_response(other)
    ]
    if entry is None:
        raise KeyError(
            f"`{argument}` has no response under {place}: run scdiffot.tl.fit_response first, "
            f"or name another with `key`. {suggest(key, run_names)}"
        )
    if not hasattr(entry, "keys"):
        raise StoredFitError(
            f"{place} is something else, no response: name another with `key`. "
            f"{suggest(key, run_names)}"
        )
    check_seal(entry, place, _keys.PARAMS, _keys.RESPONSE_MODEL)
    params: dict[str, Any] = read(
        entry[_keys.PARAMS], RESPONSE_PARAMS, f"{place}[{_keys.PARAMS!r}]"
    )
    for name in ("context", "dose_key", "target_embedding"):
        params[name] = params[name] or None
    params["targets"], params["key"] = params["targets"].tolist(), key
    targets = Treatments(
        params["targets"],
        _check_doses(params.pop("doses"), params["targets"], f"{place}[{_keys.PARAMS!r}]['doses']"),
        params.pop("embedding"),
        params["target_embedding"] or "",
        params.pop("embedding_shift"),
        params.pop("embedding_scale"),
    )
    return {
        _keys.PARAMS: params,
        _keys.HISTORY: entry.get(_keys.HISTORY, {}),
        _keys.RESPONSE_MODEL: entry[_keys.RESPONSE_MODEL],
        "targets": targets,
    }


def read_response_model(adata: AnnData | MuData, key: str) -> ResponseModel:
    """Read the model of a response.

    Raises
    ------
    StoredFitError
        If it is damaged, or contradicts the parameters.
    """
    response = read_response(adata, key)
    params, targets = response[_keys.PARAMS], response["targets"]
    place = f"adata.uns[{Keys(key, 'key').response!r}]"
    model = ResponseModel.from_arrays(
        response[_keys.RESPONSE_MODEL], place=f"{place}[{_keys.RESPONSE_MODEL!r}]"
    )
    if model.n_dims != params["n_dims"]:
        raise damaged(
            f"{place}[{_keys.PARAMS!r}]['n_dims']",
            f"is {params['n_dims']}, and the model has {model.n_dims} dimensions",
        )
    conditions = targets.conditions
    for name in ("embedding", "strength"):
        stored_values, expected_values = getattr(model.conditions, name), getattr(conditions, name)
        if stored_values.shape != expected_values.shape or not np.allclose(
            stored_values, expected_values
        ):
            raise damaged(
                f"{place}[{_keys.RESPONSE_MODEL!r}][{name!r}]",
                "is not that of the targets and doses",
            )
    return model


def _check_doses(doses: list, targets: list[str], place: str) -> list[list[float]]:
    """Check the doses of every target, which are positive and increasing."""
    flat = [d for part in doses if isinstance(part, list) for d in part]
    if len(doses) != len(targets) or not all(isinstance(part, list) for part in doses):
        raise damaged(place, f"holds no list for each of {len(targets)} targets")
    if not all(is_number(d) and d > 0 for d in flat) or any(
        sorted(set(part)) != part for part in doses
    ):
        raise damaged(place, "holds doses that are not positive and increasing")
    return doses


def is_response(entry: Any) -> bool:
    """Whether an entry of `uns` is a fitted response."""
    return hasattr(entry, "keys") and {_keys.PARAMS, _keys.HISTORY, _keys.RESPONSE_MODEL} <= set(
        entry.keys()
    )
