"""From the options of a command to settings: options over preset over defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from engine.models.catalogue import resolve
from engine.records import SHARED_KNOBS, ModelChoice, Settings
from engine.strategies import make_strategy, values
from remdm_tui.settings import presets
from remdm_tui.settings.knobs import parse_knobs
from remdm_tui.settings.presets import Preset
from remdm_tui.settings.watch_options import DEFAULT_STRATEGY, WatchOptions

LARGEST_SEED = (1 << 63) - 1
RUN = ("steps", "length", "batch", "seed", "prompt", "chat", "block_length", "stride", "strides", "first")
"""Names of options and presets that decide a run besides its model and settings."""


@dataclass(frozen=True)
class RunArguments:
    """The options that the commands share; None for one that was not given."""

    model: str | None = None
    preset: str | None = None
    strategy: str | None = None
    eta: float | None = None
    knob: tuple[str, ...] = ()
    top_p: float | None = None
    temperature: float | None = None
    nucleus: str | None = None
    draw: str | None = None
    cfg: float | None = None
    eos_bias: float | None = None
    eos_confidence: str | None = None
    steps: int | None = None
    length: int | None = None
    batch: int | None = None
    seed: int | None = None
    prompt: str | None = None
    prompt_literal: str | None = None
    chat: bool | None = None
    block_length: int | None = None
    semi_ar: bool = False
    stride: int | None = None
    strides: int | None = None
    first: int | None = None
    device: str | None = None
    dtype: str | None = None
    no_ema: bool = False
    attention: str | None = None
    mask_id: int | None = None
    tokenizer: str | None = None
    trust_remote_code: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> RunArguments:
        """Return the arguments among the parameters of a command."""
        options = {field.name: given[field.name] for field in fields(cls) if given.get(field.name) is not None}
        return cls(**(options | {"knob": tuple(options.get("knob", ()))}))

    def options(self, **more: Any) -> WatchOptions:
        """Return the checked settings of the run. Raises ValueError that names the valid values.

        more: fields of WatchOptions that are not options of a run.
        """
        preset = presets.read_preset(self.preset) if self.preset is not None else None
        run: dict[str, Any] = {}
        for name in RUN:
            value = _first(getattr(self, name), getattr(preset, name, None))
            if value is not None:
                run[name] = value
        if self.prompt_literal is not None:
            if self.prompt is not None:
                raise ValueError("take either --prompt or --prompt-literal, not both")
            run |= {"prompt": self.prompt_literal, "infill": False}
        if self.semi_ar:
            run = {"stride": run.get("length", WatchOptions.length) // 2, "strides": 1} | run
        elif "stride" in run:
            run.setdefault("strides", 1)
        for name in ("steps", "length", "batch", "block_length", "stride", "strides"):
            at_least_one(name, run.get(name, 1))
        if not 0 <= run.get("seed", 0) <= LARGEST_SEED:
            raise ValueError(f"seed must lie in 0 to {LARGEST_SEED}, not {run['seed']}")
        # bytes of the command line that are not UTF-8 arrive as lone surrogates
        if any("\ud800" <= c <= "\udfff" for c in run.get("prompt", "")):
            raise ValueError("the prompt is not UTF-8 text")
        model = self.choice(preset)
        if not more.get("where"):
            # a misspelt name is an error before anything is loaded; the files of another machine are unknown here
            resolve(model.name)
        explicit = run.keys() & {"steps", "length"}
        if _first(self.strategy, getattr(preset, "strategy", None)) is not None:
            explicit.add("strategy")
        return WatchOptions(self._settings(preset), model, **run, explicit=frozenset(explicit), **more)

    def choice(self, preset: Preset | None = None) -> ModelChoice:
        """Return the model and how to load it."""
        named = {"name": _first(self.model, getattr(preset, "model", None))}
        for name in ("device", "dtype", "attention", "mask_id", "tokenizer"):
            named[name] = _first(getattr(self, name), getattr(preset, name, None))
        given = {name: value for name, value in named.items() if value is not None}
        return ModelChoice(**given, ema=not self.no_ema, trust_remote_code=self.trust_remote_code)

    def _settings(self, preset: Preset | None) -> Settings:
        name = _first(self.strategy, getattr(preset, "strategy", None), DEFAULT_STRATEGY)
        # a preset's knobs are its strategy's
        knobs: dict[str, Any] = dict(preset.knobs) if preset is not None and preset.strategy == name else {}
        strategy = make_strategy(name, **(knobs | parse_knobs(self.knob, self.eta)))
        shared = {
            info.name: _first(getattr(self, info.name), getattr(preset, info.name, None), info.default)
            for info in SHARED_KNOBS
        }
        return Settings(strategy.name, values(strategy), **shared).checked()


def at_least_one(name: str, value: int) -> None:
    """Raise ValueError if the value is not 1 or more."""
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")


def _first(*candidates: Any) -> Any:
    """Return the first candidate that is not None; None if all are."""
    return next((value for value in candidates if value is not None), None)
