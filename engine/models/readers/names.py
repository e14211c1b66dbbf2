"""What the tensors of a DIT are called, and what follows from their names, their shapes and a configuration."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.models.files import Weights

BUFFERS = frozenset({"rotary_emb.inv_freq"})
"""Tensors that are no parameters, so that no average of them is kept."""
TENSOR = re.compile(
    r"(?P<prefix>(?:.*\.)?)(?:vocab_embed\.embedding|sigma_map\.mlp\.\d\.\w+|rotary_emb\.inv_freq"
    r"|blocks\.\d+\.(?:norm1|attn_qkv|attn_out|norm2|mlp\.\d|adaLN_modulation)\.\w+"
    r"|output_layer\.(?:norm_final|linear|adaLN_modulation)\.\w+)"
)
BLOCK = re.compile(r"blocks\.(\d+)\.")
ORDER = (
    "vocab_embed", "sigma_map", "rotary_emb", "blocks", "norm1", "attn_qkv", "attn_out", "norm2", "mlp",
    "output_layer", "norm_final", "linear", "adaLN_modulation", "weight", "bias",
)  # fmt: skip
"""Parts of names, in the order in which the network registers them."""
SECTIONS = ((), ("model",), ("algo",), ("config",), ("config", "model"), ("config", "algo"))
"""Where a setting may be in the field's configurations, in the order of looking."""
NAMED = 4
"""Ignored tensors that a note names; the rest are counted."""


@dataclass(frozen=True)
class Found:
    """A checkpoint before it is a network: tensors by the network's own names, and their configuration."""

    weights: Weights
    config: Mapping[str, object]
    """its configuration or the settings of its run, plain values"""
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """tensors of the file that `weights` leaves out"""
    prefix: str = ""
    """what comes before the network's names in `weights`"""
    trained: bool = False
    """whether `config` is what the run was trained with, not what somebody wrote for the hub"""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the network's tensors, by its own names."""
        named = {self.own_name(name): shape for name, shape in self.weights.shapes.items()}
        return {name: shape for name, shape in named.items() if name is not None}

    def own_name(self, name: str) -> str | None:
        """Return the network's name of one of `weights`; None for what belongs to something else."""
        return name.removeprefix(self.prefix) if name.startswith(self.prefix) else None

    def setting(self, *names: str, sections: Iterable[tuple[str, ...]] = SECTIONS) -> object:
        """Return the first of these settings that is given, in whatever section; None where none is."""
        for section in sections:
            place: object = self.config
            for step in section:
                place = place.get(step) if isinstance(place, dict) else None
            for name in names:
                value = place.get(name) if isinstance(place, dict) else None
                if value is not None:
                    return value
        return None

    def number(self, *names: str) -> int | None:
        """Return `setting`, where it is a whole number."""
        value = self.setting(*names)
        return value if type(value) is int else None

    def word(self, *names: str, sections: Iterable[tuple[str, ...]] = SECTIONS) -> str:
        """Return `setting` in lower case, where it is a word; else empty."""
        value = self.setting(*names, sections=sections)
        return value.lower() if isinstance(value, str) and "${" not in value else ""


def is_family(names: Iterable[str]) -> bool:
    """Return whether tensors of these names are, or contain, a DIT or its causal twin."""
    return any(name.endswith("attn_qkv.weight") and TENSOR.fullmatch(name) for name in names)


def prefix_of(names: Iterable[str]) -> str:
    """Return what comes before the names of the network that most of these belong to.  Raises ValueError for none."""
    matches = (TENSOR.fullmatch(name) for name in names)
    counts = Counter(match["prefix"] for match in matches if match)
    if not counts:
        raise ValueError("the file holds no tensors of a diffusion transformer, such as blocks.0.attn_qkv.weight")
    return counts.most_common(1)[0][0]


def rank(name: str) -> list[int]:
    """Return where a tensor comes in the order of `parameters()`: names sorted by it are in that order."""
    return [ORDER.index(part) if part in ORDER else int(part) if part.isdecimal() else -1 for part in name.split(".")]


def ignored_note(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return a note that names the tensors that were ignored; empty if all were read."""
    if not names:
        return ()
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (f"tensors ignored: {', '.join(names[:NAMED])}{more}",)
