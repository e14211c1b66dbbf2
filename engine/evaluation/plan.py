"""The plan of an evaluation: everything that decides its samples and its figures, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from engine.records import Knob
from engine.strategies import REGISTRY, describe

ENGINE = "lazy"
"""This engine's own predictor: flips first, then the network for the positions that they reveal."""
BETWEEN_STARTS = "ar"
"""The predictor of ReMDM's autoregressive baseline: L - 2 tokens from the left, between two start tokens."""

OVER_SIMPLEX = "ssd-lm"
"""SSD-LM's predictor, and the strategy that it steps: its steps are those of each block."""


class PlannedModel(msgspec.Struct, frozen=True):
    """The model: its weights, and how they were loaded."""

    name: str
    fingerprint: str
    """of the whole contents of its files"""
    dtype: str
    kind: str
    ema: bool = True
    mask_id: int | None = None
    tokenizer: str | None = None
    code_was_trusted: bool = msgspec.field(default=False, name="trust_remote_code")
    """whether consent to run the checkpoint's own code was given then; it is written down, and grants nothing"""
    tokenizer_fingerprint: str | None = None
    """of the tokenizer that was named, or of the hub's usual one where the checkpoint has none"""
    code_digest: str | None = None
    """of the checkpoint's own code that was run"""
    path: str | None = None
    """where it lay, absolute; None for a built-in or a repository of the hub"""
    tokenizer_path: str | None = None


class Sampling(msgspec.Struct, frozen=True):
    """The settings that decide the samples, besides the model."""

    strategy: str
    knobs: dict[str, Knob]
    top_p: float
    temperature: float
    nucleus: str
    draw: str
    steps: int
    length: int
    """of the window, where there are strides"""
    seed: int
    count: int
    prompt: str = ""
    chat: bool = False
    block_length: int | None = None
    stride: int | None = None
    strides: int = 0
    predictor: str = ENGINE
    infill: bool = False
    """whether the prompt has masks that are filled; without it they are letters"""
    strategy_digest: str | None = None
    """of the source of a strategy of another package; None for ours"""
    cfg: float = 0.0
    eos_bias: float = 0.0
    eos_confidence: str = "kept"
    quality_digest: str | None = None
    """of the trained head's file; None where the strategy reads none"""
    files_digest: str | None = None
    """of the files that knobs name; None where none does"""

    @property
    def tokens(self) -> int:
        """Return the number of tokens of one sample."""
        return self.length + (self.stride or 0) * self.strides

    @property
    def canvas(self) -> int:
        """Return the number of tokens of the first window that are drawn, the prompt included."""
        return self.length - 2 * (self.predictor == BETWEEN_STARTS)


class Scoring(msgspec.Struct, frozen=True):
    """The settings that decide the figures, besides the samples."""

    conventions: tuple[str, ...]
    judge: str | None
    """None: no generative perplexity"""
    judge_dtype: str = "float32"
    features: str | None = None
    """whose last states MAUVE compares; None: the judge's"""
    judge_fingerprint: str | None = None
    features_fingerprint: str | None = None
    references: str | None = None
    """files or a data set; None: no MAUVE"""
    references_digest: str | None = None
    """of the text that they held"""
    references_split: str = "validation"
    references_count: int | None = None
    """None: as many as there are samples"""
    judge_path: str | None = None
    """where it lay, absolute; None for a built-in or a repository of the hub"""
    features_path: str | None = None
    together: int = 1
    """texts that the reference judges at a time: those of a last partial batch are left out"""
    decisions: dict[str, str] = {}
    """by conventions, the digest of what they decide; without one where nothing is judged"""

    @property
    def featurizer(self) -> str | None:
        """Return the name of the featurizer; None where there are no references to compare with."""
        return None if self.references is None else self.features or self.judge


class EvalPlan(msgspec.Struct, frozen=True):
    """The content of settings.json."""

    model: PlannedModel
    sampling: Sampling
    scoring: Scoring


PATH_SETTINGS = ("model.path", "model.tokenizer_path", "scoring.judge_path", "scoring.features_path")
"""Settings that are paths, which do not decide a figure."""
DIGEST_OF = {
    "model.name": "model.fingerprint",
    "model.tokenizer": "model.tokenizer_fingerprint",
    "scoring.judge": "scoring.judge_fingerprint",
    "scoring.features": "scoring.features_fingerprint",
    "scoring.references": "scoring.references_digest",
}
"""Names that may change if the digest of the content that they name does not."""

PlanChange = tuple[str, Any, Any]
"""(setting, old value, new value)"""


class HasSampling(Protocol):
    """The plan of an evaluation of any kind."""

    @property
    def sampling(self) -> Sampling: ...


def plan_differences(was: HasSampling, now: HasSampling) -> list[PlanChange]:
    """Return every setting that differs, by its dotted name; paths, and names of the same content, may differ.

    A knob that an earlier version did not have is at its default.
    """
    old, new = (dict(_leaves(_with_every_knob(plan))) for plan in (was, now))
    names = [*old, *(name for name in new if name not in old)]
    changed = [name for name in names if name not in PATH_SETTINGS and old.get(name) != new.get(name)]
    return [(name, old.get(name), new.get(name)) for name in changed if not _same_content(name, old, new)]


def _with_every_knob(plan: HasSampling) -> dict[str, Any]:
    kind = REGISTRY.get(plan.sampling.strategy)
    knobs = {} if kind is None else {info.name: info.default for info in describe(kind).knobs}
    tree: dict[str, Any] = msgspec.to_builtins(plan)
    tree["sampling"]["knobs"] = {**knobs, **tree["sampling"]["knobs"]}
    return tree


def _same_content(name: str, old: dict[str, Any], new: dict[str, Any]) -> bool:
    digest = DIGEST_OF.get(name)
    return digest is not None and old.get(digest) is not None and old.get(digest) == new.get(digest)


def change_lines(changes: list[PlanChange]) -> str:
    """Return one line for each change."""
    return "\n".join(f"  {name}: {_shown(was)} -> {_shown(now)}" for name, was, now in changes)


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)


def _leaves(tree: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
