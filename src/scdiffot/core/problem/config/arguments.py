"""Settings of a call: its `config`, its own arguments, and arguments that moved into `config`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypedDict, TypeVar

from .setting import Settings, change
from .stored import FLAT_NAMES

T = TypeVar("T", bound=Settings)
_OF_RESPONSES = (
    "n_steps",
    "batch_size",
    "learning_rate",
    "n_hidden",
    "n_layers",
    "n_landmarks",
    "smoothing",
)
# Arguments of earlier versions, by the function that had them.
OLD_ARGUMENTS = {
    "tl.fit": (
        "n_steps",
        "n_corrections",
        "n_matching_steps",
        "batch_size",
        "learning_rate",
        "n_hidden",
        "n_layers",
        "n_landmarks",
    ),
    "tl.fit_response": _OF_RESPONSES,
    "tl.evaluate_response": _OF_RESPONSES,
}


class OldArguments(TypedDict, total=False):
    """Arguments of earlier versions that are settings of `config` now."""

    n_steps: int | None
    n_corrections: int | None
    n_matching_steps: int | None
    batch_size: int | None
    learning_rate: float | None
    n_hidden: int | None
    n_layers: int | None
    n_landmarks: int | None
    smoothing: float | None


def read_config(
    kind: type[T],
    config: Settings | Mapping[str, Any] | None,
    *,
    arguments: Mapping[str, Any],
    old_arguments: Mapping[str, Any],
    function: str,
) -> T:
    """Combine the settings of a call.

    Parameters
    ----------
    kind
        Class of the settings.
    config
        Settings, or a dict of those that differ from the defaults.
    arguments
        Settings that are arguments of the function.
    old_arguments
        Keyword arguments that the function had in an earlier version.
    function
        Its name, for messages.

    Raises
    ------
    TypeError
        If an argument or a setting is unknown or has the wrong type.
    ValueError
        If a value is out of range, or an argument contradicts `config`.

    Warns
    -----
    FutureWarning
        Once, if arguments moved.
    """
    unknown = [name for name in old_arguments if name not in OLD_ARGUMENTS[function]]
    if unknown:
        raise TypeError(f"`{unknown[0]}` is not an argument of {function}: leave it out.")
    default = kind()
    result: Any = {} if config is None else config
    if isinstance(result, Mapping):
        result = change(default, result)
    elif not isinstance(result, kind):
        raise TypeError(f"`config` is a {type(config).__name__}: pass a dict or a {kind.__name__}.")
    for name, value in arguments.items():
        argument = getattr(replace(default, **{name: value}), name)
        if argument == getattr(default, name):
            continue
        if getattr(result, name) not in (argument, getattr(default, name)):
            raise ValueError(
                f"`{name}` is {argument!r}, and {getattr(result, name)!r} in `config`: pass one."
            )
        result = replace(result, **{name: argument})
    values = {name: value for name, value in old_arguments.items() if value is not None}
    for name, value in values.items():
        group, setting = FLAT_NAMES[name]
        result = replace(result, **{group: replace(getattr(result, group), **{setting: value})})
    if values:
        places = [f"{name} is config.{'.'.join(FLAT_NAMES[name])}" for name in values]
        # The caller of the function is the user.
        warnings.warn(
            f"Arguments of {function} moved into `config`: {', '.join(places)}. "
            f'Pass config={{"{FLAT_NAMES[next(iter(values))][0]}": {{...}}}}.',
            FutureWarning,
            stacklevel=3,
        )
    checked: T = result
    return checked
