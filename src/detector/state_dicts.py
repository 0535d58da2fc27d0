"""State dicts in files: what wraps them, what stands before their keys, and what is no weight."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from genspot.common.text import safe_repr

# Keys under which programs save weights beside other things, in the order in which they count.
WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "net", "network"),
    *("weights", "backbone", "module", "params", "checkpoint"),
)
# What torch.compile, DataParallel, Lightning modules and wrapping classes put before each key.
PREFIXES = ("_orig_mod.", "module.", "model.", "backbone.", "network.", "net.")
# Of a batch norm; no logit depends on it, and files of old versions of PyTorch lack it.
COUNTER = "num_batches_tracked"
MAX_DEPTH = 3  # of wrappers within wrappers
MAX_KEYS = 4  # that a message names
MAX_PARTS = 3  # dicts whose keys a message names
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)  # converted on loading


def find_weights(content: Any) -> dict[Any, Any]:
    """Return the innermost dict with tensors below the wrappers of `content`, without prefixes.

    Returns:
        An empty dict if there is none. What it holds is not checked. Counters of batch norms of
        another type than int64 are left out.
    """
    return without_odd_counters(_without_prefixes(_unwrap(content, MAX_DEPTH)))


def without_odd_counters(state: dict[Any, Any]) -> dict[Any, Any]:
    """Return `state` without each `COUNTER` that was converted, as to half precision."""
    return {
        key: value
        for key, value in state.items()
        if not str(key).endswith(COUNTER) or getattr(value, "dtype", None) is torch.int64
    }


def describe_content(content: Any) -> str:
    """Return what a file holds: the keys of its dict, and those below its wrappers."""
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    return "; ".join([_first_keys(content), *_wrapped_keys(content, "", MAX_DEPTH)][:MAX_PARTS])


def find_difference(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]
) -> str | None:
    """Return the first difference of keys, shapes and types between two state dicts, or None.

    A `COUNTER` may be missing from `found`, the state dict of a file.
    """
    for key, value in expected.items():
        label, loaded = shown_key(key), found.get(key)
        if loaded is None and key.endswith(COUNTER):
            continue
        if loaded is None:
            return f"{label} is missing from it"
        if loaded.shape != value.shape:
            return f"{label} has shape {tuple(loaded.shape)} instead of {tuple(value.shape)}"
        if loaded.dtype != value.dtype and not {loaded.dtype, value.dtype} <= set(FLOATS):
            return f"{label} is {loaded.dtype}, not {value.dtype}"
    unknown = next((key for key in found if key not in expected), None)
    return None if unknown is None else f"{shown_key(unknown)} is only in the file"


def shown_key(key: str) -> str:
    """Return a key of a `DetectorNetwork` in one line, as a backbone's own state dict has it."""
    return safe_repr(key.removeprefix("backbone."))


def find_fault(state: dict[Any, Any], size: int) -> str | None:
    """Return what is wrong with the first entry that is no weight or not finite, or None.

    Args:
        state: of a network, from anybody.
        size: of the file in bytes. One number in it can stand for any shape, which would fill
            the memory.
    """
    for key, value in state.items():
        if not (
            isinstance(key, str)
            and isinstance(value, torch.Tensor)
            and value.layout is torch.strided
            and value.device.type == "cpu"
            and value.numel() * value.element_size() <= size
        ):
            return (
                f"has {safe_repr(key)}, which is no plain tensor with its values; give the state "
                "dict of a network"
            )
        # Whatever their type, a network computes in float32 with them.
        if value.is_floating_point() and not value.float().isfinite().all():
            return (
                f"is of no use: {safe_repr(key)} holds NaN or infinity, as a training that "
                "diverged leaves; take an earlier one"
            )
    return None


def digest_of(state: Mapping[str, torch.Tensor]) -> bytes:
    """Return the SHA-256 of the names, types, shapes and values of a state dict, in its order."""
    digest = hashlib.sha256()
    for key, value in state.items():
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().cpu().view(-1).view(torch.uint8).numpy().data)
    return digest.digest()


def _unwrap(content: Any, depth: int) -> dict[Any, Any]:
    if not isinstance(content, dict):
        return {}
    for key in WRAPPERS if depth else ():
        if found := _unwrap(content.get(key), depth - 1):
            return found
    return content if any(isinstance(value, torch.Tensor) for value in content.values()) else {}


def _without_prefixes(state: dict[Any, Any]) -> dict[Any, Any]:
    while state:
        prefix = next(
            (
                prefix
                for prefix in PREFIXES
                if all(isinstance(key, str) and key.startswith(prefix) for key in state)
            ),
            None,
        )
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _wrapped_keys(content: dict[Any, Any], prefix: str, depth: int) -> Iterator[str]:
    for key in WRAPPERS if depth else ():
        if isinstance(inner := content.get(key), dict):
            yield f"{prefix}{key}: {_first_keys(inner)}"
            yield from _wrapped_keys(inner, f"{prefix}{key}.", depth - 1)


def _first_keys(values: dict[Any, Any]) -> str:
    names = [safe_repr(key)[:60] for key in list(values)[:MAX_KEYS]]
    more = f" and {len(values) - MAX_KEYS} more" if len(values) > MAX_KEYS else ""
    return ", ".join(names) + more if names else "nothing"
