"""The options of `watch`, checked as far as is possible without a model, and how they fit to a model."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from engine.records import HOW_TO_CONSENT, Knob, ModelChoice, ModelInfo, RunChoice, Settings, StrategyInfo
from remdm_tui.settings.knobs import own_knobs
from remdm_tui.settings.watched_item import WatchedItem

DEFAULT_STRATEGY = "remdm-cap"
CAUSAL_STRATEGY = "left-to-right"
"""The only strategy for a model that predicts from the left alone."""
STRATEGY_OF_KIND = {"SSD-LM": "ssd-lm"}
"""The strategy that a kind of model is trained for, where it is not any over masks."""


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
    item: WatchedItem | None = None
    """the item of an evaluation on tasks that is drawn; None: a sample"""
    puzzle: bool = False
    """whether the prompt is a Sudoku, which takes a model of such grids"""
    explicit: frozenset[str] = frozenset()
    """which of strategy, steps and length were given; the others fit to the model"""
    paused: bool = False
    ascii: bool = False
    mouse: bool = True
    may_consent: bool = True
    """whether the user can consent to run a model's own code; on a served page the command `serve` does"""
    command: tuple[str, ...] = ()
    """the command that launches the engine; empty: this Python"""
    where: str = ""
    """the host that the engine runs on; empty: this one"""
    record: Path | None = None
    """the file to record in; None: a temporary one"""
    run: RunChoice | None = None
    """a recorded run to continue, in `record`"""
    branch: int = 0
    """the branch of that run to continue"""
    strategy_file: str = ""
    """a Python file on the engine's machine that defines a strategy"""
    file_knobs: tuple[tuple[str, Knob], ...] = ()
    """values for the knobs of that strategy, which are unknown before it is loaded"""
    breakpoints: tuple[str, ...] = ()
    """breakpoints"""
    problems: tuple[str, ...] = ()
    """errors in the configuration file"""
    hint: str = ""
    """a message to show at the start"""
    follow: bool = False
    """whether the model is a training run whose newer checkpoints are shown"""
    compare: tuple[Settings, ...] = ()
    """the settings of the panes besides the run's own"""


def fit_to_model(
    options: WatchOptions, model: ModelInfo, strategies: Sequence[StrategyInfo]
) -> tuple[Settings, RunChoice]:
    """Return the run for a model: no longer than the model allows unless the length was given.

    A causal model gets the left-to-right strategy, and SSD-LM its own, unless another was given.
    """
    settings, steps, length = options.settings, options.steps, options.length
    if "length" not in options.explicit and model.max_length is not None:
        length = min(length, model.max_length)
    own = CAUSAL_STRATEGY if model.causal else STRATEGY_OF_KIND.get(model.kind, "")
    if "strategy" not in options.explicit and any(info.name == own for info in strategies):
        knobs = {knob.name: knob.default for knob in own_knobs(own, strategies)}
        settings = replace(settings, strategy=own, knobs=knobs)
    token_by_token = settings.strategy == CAUSAL_STRATEGY and "steps" not in options.explicit
    return settings, RunChoice(
        None if token_by_token else steps, length, options.batch, options.seed, options.prompt, options.chat,
        options.block_length, options.stride, options.strides, options.first,
        options.infill and bool(options.prompt),
        options.item is not None and options.item.special,
    )  # fmt: skip


def parse_model(text: str, base: ModelChoice, may_consent: bool = True) -> ModelChoice:
    """Parse a model that a person has typed: a name, and options as on the command line.

    Device, type, attention and averaging are those of `base`; its mask, tokenizer and consent are not kept.
    may_consent: whether --trust-remote-code is allowed.  Raises ValueError for an unknown option.
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
                raise ValueError(f"{CONSENT} cannot be given on a served page: start `remdm-tui serve` with it")
            more |= FLAGS[option]
        elif option in VALUES and words:
            more[VALUES[option]] = words.pop(0)
        else:
            needs = "needs a value" if option in VALUES else f"is unknown: choose {', '.join([*VALUES, *FLAGS])}"
            raise ValueError(f"{option} {needs}")
    if "mask_id" in more:
        if not more["mask_id"].isdecimal():
            raise ValueError(f"--mask-id is a number, not {more['mask_id']!r}")
        more["mask_id"] = int(more["mask_id"])
    return replace(kept, **more)


def refusal_of(reason: str, may_consent: bool) -> str:
    """Return why a model was not loaded; `reason` is the engine's, who knows no page that cannot give consent."""
    return reason if may_consent else reason.replace(HOW_TO_CONSENT, OWNER_CONSENTS)


CONSENT = "--trust-remote-code"
OWNER_CONSENTS = f"the owner of the server can allow that by starting `remdm-tui serve` with {CONSENT}"
FLAGS = {"--no-ema": {"ema": False}, CONSENT: {"trust_remote_code": True}}
VALUES = {
    f"--{one.name.replace('_', '-')}": one.name
    for one in fields(ModelChoice)
    if one.name not in ("name", "ema", "trust_remote_code")
}
