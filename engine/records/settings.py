"""The settings of a step: the strategy with its knobs, and what every strategy shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from engine.records.knobs import Knob, KnobInfo

SAMPLING = (
    KnobInfo("top_p", 0.9, "nucleus: the smallest probability mass drawn from; 1 is off", 0.01, 1.0),
    KnobInfo("temperature", 1.0, "logits are divided by it; 0 takes the argmax", 0.0, 10.0),
    KnobInfo(
        "nucleus",
        "exclusive",
        "the token that crosses p: excluded (ReMDM's code) or included (Hugging Face)",
        choices=("exclusive", "inclusive"),
    ),
    KnobInfo(
        "draw",
        "inverse-cdf",
        "how a token is drawn; gumbel-float32 is the field's faulty one",
        choices=("inverse-cdf", "gumbel-float64", "gumbel-float32"),
    ),
)
"""The settings that every strategy shares, declared like knobs."""
GUIDANCE = (
    KnobInfo(
        "cfg",
        0.0,
        "classifier-free guidance w: logits become l_u + (w + 1)(l - l_u), l_u those of the prompt masked; 0 is off",
        0.0,
        100.0,
    ),
    KnobInfo("eos_bias", 0.0, "added to the logits of end-of-text tokens; -1000 forbids them", -1000.0, 1000.0),
    KnobInfo(
        "eos_confidence",
        "kept",
        "confidence of end-of-text tokens: kept, excluded (0: they come last), or LLaDA's code, where others' rise too",
        choices=("kept", "excluded", "as-published"),
    ),
)
"""LLaDA's further settings, which every strategy shares too."""
SHARED_KNOBS = (*SAMPLING, *GUIDANCE)
"""Both: every setting but the strategy and its knobs."""
SHARED = tuple(info.name for info in SHARED_KNOBS)
"""Their names."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides a step besides the model, the state and the seed."""

    strategy: str
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    top_p: float = 0.9
    nucleus: str = "exclusive"
    temperature: float = 1.0
    draw: str = "inverse-cdf"
    cfg: float = 0.0
    eos_bias: float = 0.0
    eos_confidence: str = "kept"

    def __post_init__(self) -> None:
        object.__setattr__(self, "knobs", MappingProxyType(dict(self.knobs)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self.strategy, dict(self.knobs), self.top_p, self.nucleus, self.temperature, self.draw, self.cfg,
            self.eos_bias, self.eos_confidence,
        )  # fmt: skip

    def checked(self) -> Settings:
        """Return these settings with every shared one in range; raises ValueError with what would be valid."""
        shared: dict[str, Any] = {info.name: info.check(getattr(self, info.name)) for info in (*SAMPLING, *GUIDANCE)}
        return replace(self, **shared)
