"""What `watch` was asked to show, checked as far as that is possible without a model, and fitted to the model."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from engine.records import Knob, ModelChoice, ModelInfo, RunChoice, Settings, StrategyInfo
from remdm_tui.settings.knobs import own_knobs

DEFAULT_STRATEGY = "remdm-cap"
CAUSAL_STRATEGY = "left-to-right"
"""The one that means anything for a model that predicts from the left alone."""


@dataclass(frozen=True)
class WatchOptions:
    """A run to watch; the defaults are those of the command line."""

    settings: Settings
    model: ModelChoice = field(default_factory=ModelChoice)
    steps: int = 256
    length: int = 128
    batch: int = 1
    seed: int = 0
    prompt: str = ""
    chat: bool = False
    block_length: int | None = None
    stride: int | None = None
    strides: int = 0
    first: int = 0
    infill: bool = True
    """whether masks written in the prompt are filled"""
    said: frozenset[str] = frozenset()
    """which of strategy, steps and length somebody asked for; the others are fitted to the model"""
    paused: bool = False
    ascii: bool = False
    mouse: bool = True
    may_consent: bool = True
    """whether somebody at the screen can consent to run a model's own code; in a served page `serve`'s command does"""
    command: tuple[str, ...] = ()
    """what launches the engine; empty: this Python"""
    where: str = ""
    """the host it runs on; empty: this one"""
    record: Path | None = None
    """the file in which the run is recorded; None: a temporary one"""
    run: RunChoice | None = None
    """a recorded run to go on with, in `record`"""
    branch: int = 0
    """the branch of it to go on in"""
    strategy_file: str = ""
    """a Python file of the engine's machine that defines a strategy"""
    file_knobs: tuple[tuple[str, Knob], ...] = ()
    """its knobs, which nobody knows before it is loaded"""
    stops: tuple[str, ...] = ()
    """conditions to stop at"""
    problems: tuple[str, ...] = ()
    """what is wrong with the configuration"""
    hint: str = ""
    """what is to be known of how the session begins"""
    follow: bool = False
    """whether the model is a training run, whose newer checkpoints are to be shown"""
    compare: tuple[Settings, ...] = ()
    """those of panes beside the run's own"""


def fitted(options: WatchOptions, model: ModelInfo, strategies: Sequence[StrategyInfo]) -> tuple[Settings, RunChoice]:
    """The run for a model: no longer than the model unless asked, left to right where it knows nothing else."""
    settings, steps, length = options.settings, options.steps, options.length
    if "length" not in options.said and model.max_length is not None:
        length = min(length, model.max_length)
    has = any(info.name == CAUSAL_STRATEGY for info in strategies)
    if model.causal and "strategy" not in options.said and has:
        knobs = {knob.name: knob.default for knob in own_knobs(CAUSAL_STRATEGY, strategies)}
        settings = replace(settings, strategy=CAUSAL_STRATEGY, knobs=knobs)
    token_by_token = settings.strategy == CAUSAL_STRATEGY and "steps" not in options.said
    return settings, RunChoice(
        None if token_by_token else steps, length, options.batch, options.seed, options.prompt, options.chat,
        options.block_length, options.stride, options.strides, options.first,
        options.infill and bool(options.prompt),
    )  # fmt: skip


def typed(text: str, base: ModelChoice, may_consent: bool = True) -> ModelChoice:
    """The model that a person has typed: a name, and after it options as on the command line.

    Device, type, attention and averaging stay as they were; what was said of another checkpoint does not.
    may_consent: whether --trust-remote-code may be among them.  Raises ValueError for an option that is none.
    """
    kept = replace(base, mask_id=None, tokenizer=None, trust_remote_code=False)
    name, dashes, rest = text.strip().partition(" --")
    if not name:
        raise ValueError("type a path or a Hugging Face id such as org/name")
    words = shlex.split(dashes + rest)
    more: dict[str, Any] = {"name": name.strip()}
    while words:
        option = words.pop(0)
        if option in FLAGS:
            if option == CONSENT and not may_consent:
                raise ValueError(f"a page cannot give {CONSENT}: start `remdm-tui serve` with it")
            more |= FLAGS[option]
        elif option in VALUES and words:
            more[VALUES[option]] = words.pop(0)
        else:
            needs = "needs a value" if option in VALUES else f"is none of {', '.join([*VALUES, *FLAGS])}"
            raise ValueError(f"{option} {needs}")
    if "mask_id" in more:
        if not more["mask_id"].isdecimal():
            raise ValueError(f"--mask-id is a number, not {more['mask_id']!r}")
        more["mask_id"] = int(more["mask_id"])
    return replace(kept, **more)


CONSENT = "--trust-remote-code"
FLAGS = {"--no-ema": {"ema": False}, CONSENT: {"trust_remote_code": True}}
VALUES = {
    f"--{one.name.replace('_', '-')}": one.name
    for one in fields(ModelChoice)
    if one.name not in ("name", "ema", "trust_remote_code")
}
