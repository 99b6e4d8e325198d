"""The device on which networks are trained."""

from __future__ import annotations

import torch


def resolve_device(device: str | torch.device) -> torch.device:
    """Resolve the `device` argument of a public function.

    Parameters
    ----------
    device
        ``"auto"`` (CUDA if available, otherwise the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or a
        `torch.device` of these types.

    Returns
    -------
    A device that is available.

    Raises
    ------
    TypeError
        If `device` is neither a string nor a `torch.device`.
    ValueError
        If there is no such device on this machine, or networks cannot be trained on it.
    """
    remedy = "pass 'auto', 'cpu', or 'cuda' where there is a GPU."
    if isinstance(device, str):
        if device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            resolved = torch.device(device)
        except RuntimeError as error:
            raise ValueError(
                f"`device` is {device!r}, which torch does not know: {remedy}"
            ) from error
    elif isinstance(device, torch.device):
        resolved = device
    else:
        raise TypeError(f"`device` is a {type(device).__name__}: {remedy}")
    if resolved.type == "cpu":
        return torch.device("cpu")
    if resolved.type != "cuda":
        raise ValueError(f"`device` is {str(device)!r}, on which nothing can be trained: {remedy}")
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (resolved.index or 0) >= n_gpus:
        raise ValueError(f"`device` is {str(device)!r}, but torch sees {n_gpus} GPUs: {remedy}")
    return resolved
