"""The plain values inside what a pickle left inert: the settings that training programs pickle as objects."""

from __future__ import annotations

from typing import Any

from engine.models.files.containers import Stub

DEPTH, NODES = 64, 200_000
"""How deep and how large a structure is followed."""


def plain(value: object) -> Any:
    """Return ordinary dictionaries, lists and numbers of a structure as `read_pickle` gives it.

    OmegaConf's nodes become their contents (`_content` of containers, `_val` of leaves), namespaces their
    attributes, subclasses of dict and list their items, paths their text; any other Stub stays one.
    Raises ValueError for a structure too deep or too large, which a cycle is as well.
    """
    left = NODES

    def walk(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if depth > DEPTH or left < 0:
            raise ValueError(f"the settings are nested more than {DEPTH} deep, or hold more than {NODES} values")
        if isinstance(value, Stub):
            inside = _inside(value)
            return value if inside is value else walk(inside, depth + 1)
        if isinstance(value, dict):
            return {key: walk(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [walk(item, depth + 1) for item in value]
        return value

    return walk(value, 0)


def _inside(stub: Stub) -> object:
    """Return what a stub means, itself where that is not known."""
    state = stub.state
    if isinstance(state, tuple) and len(state) == 2:  # attributes of an object with slots: (none, attributes)
        state = state[1] if isinstance(state[1], dict) else state[0]
    if isinstance(state, dict):
        for name in ("_content", "_val"):
            if name in state:
                return state[name]
        if stub.name in ("Namespace", "SimpleNamespace"):
            return state
    if stub.entries:
        return {key: value for key, value in stub.entries if isinstance(key, str | int | bool)}
    if stub.items:
        return stub.items
    if stub.module.split(".")[0] == "pathlib" and stub.args and all(isinstance(part, str) for part in stub.args):
        return "/".join(str(part) for part in stub.args).replace("//", "/")
    return stub
