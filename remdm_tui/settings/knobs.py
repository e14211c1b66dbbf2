"""Knobs: which are shown for some settings, how they move, and how they are parsed.  Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engine.records import GUIDANCE, SHARED_KNOBS, Knob, KnobInfo, Settings, StrategyInfo

NOTCHES = 50
"""Steps from one end of a slider to the other."""
LOG_KNEE = 0.004
"""Where a log slider changes from linear to logarithmic."""
STRATEGY = "strategy"
SELDOM = frozenset(info.name for info in GUIDANCE)
"""Knobs whose rows take room only where they are not at their defaults; the command line always knows them."""


def panel(settings: Settings, strategies: Sequence[StrategyInfo]) -> list[tuple[KnobInfo, Knob]]:
    """Return the knobs that have an effect with their values: the strategy, its knobs, then the shared ones."""
    names = tuple(info.name for info in strategies)
    rows: list[tuple[KnobInfo, Knob]] = []
    if names:
        first = KnobInfo(STRATEGY, names[0], "the sampler", choices=names)
        rows.append((first, settings.strategy))
    for info in own_knobs(settings.strategy, strategies):
        if matters(info, settings):
            rows.append((info, settings.knobs.get(info.name, info.default)))
    return rows + [(info, getattr(settings, info.name)) for info in SHARED_KNOBS]


@dataclass(frozen=True)
class KnobRow:
    """One knob as it is shown and turned."""

    info: KnobInfo
    value: Knob | None
    """at the step on screen; None: the strategy that made it lacks the knob"""
    upcoming: Knob | None = None
    """at the next step, if that differs"""

    @property
    def now(self) -> Knob:
        """The value that the next change starts from."""
        value = self.value if self.upcoming is None else self.upcoming
        return self.info.default if value is None else value


def knob_rows(made: Settings, upcoming: Settings, strategies: Sequence[StrategyInfo]) -> list[KnobRow]:
    """Return the knobs that had an effect on a step, then those that the next step adds; the shared ones last."""
    return [row for row in _rows(made, upcoming, strategies) if not _is_spare(row)]


def _is_spare(row: KnobRow) -> bool:
    """Return whether a knob that is seldom turned has its default at this step and at the next."""
    return row.info.name in SELDOM and row.upcoming is None and row.value == row.info.default


def _rows(made: Settings, upcoming: Settings, strategies: Sequence[StrategyInfo]) -> list[KnobRow]:
    first = panel(made, strategies)
    then = {info.name: (info, value) for info, value in panel(upcoming, strategies)}
    rows = []
    for info, value in first:
        info, after = then.pop(info.name, (info, value))
        rows.append(KnobRow(info, value, after if after != value else None))
    added = [KnobRow(info, None, value) for info, value in then.values()]
    shared = len(rows) - len(SHARED_KNOBS)
    return [*rows[:shared], *added, *rows[shared:]]


def own_knobs(name: str, strategies: Sequence[StrategyInfo]) -> tuple[KnobInfo, ...]:
    """Return the knobs of a strategy; empty for an unknown one."""
    return next((info.knobs for info in strategies if info.name == name), ())


def matters(info: KnobInfo, settings: Settings) -> bool:
    """Return whether a knob has an effect with the values of the others."""
    if len(info.choices) == 1:
        return False
    if info.needs is None:
        return True
    other, values = info.needs
    return str(settings.knobs.get(other)) in values.split("|")


def turned(settings: Settings, name: str, value: Knob, strategies: Sequence[StrategyInfo]) -> Settings:
    """Return the settings with one knob changed; a new strategy keeps the knobs that it shares with the old one.

    Raises ValueError that names the valid values.
    """
    if name == STRATEGY:
        infos = own_knobs(str(value), strategies)
        kept = {k.name: settings.knobs.get(k.name, k.default) for k in infos}
        # a knob of the same name may have another range or other choices
        valid = {k.name: kept[k.name] if _accepts(k, kept[k.name]) else k.default for k in infos}
        return replace(settings, strategy=str(value), knobs=valid)
    shared = {info.name: info for info in SHARED_KNOBS}
    if name in shared:
        checked = shared[name].check(value)
        return replace(settings, **{name: checked})  # type: ignore[arg-type]
    info = next((k for k in own_knobs(settings.strategy, strategies) if k.name == name), None)
    if info is None:
        raise ValueError(f"{settings.strategy} has no knob {name!r}")
    return replace(settings, knobs={**settings.knobs, name: info.check(value)})


def _accepts(info: KnobInfo, value: Knob) -> bool:
    try:
        info.check(value)
    except ValueError:
        return False
    return True


def fraction(info: KnobInfo, value: Knob) -> float:
    """Return the position of a number on its slider, 0 to 1."""
    low, high = info.low or 0.0, info.high or 1.0
    if info.scale == "log":
        return math.log1p(float(value) / LOG_KNEE) / math.log1p(high / LOG_KNEE)
    return (float(value) - low) / (high - low)


def at_fraction(info: KnobInfo, position: float) -> float:
    """Return the number at a position on the slider, rounded to what a person would type."""
    low, high = info.low or 0.0, info.high or 1.0
    position = max(0.0, min(1.0, position))
    if info.scale == "log":
        raw = LOG_KNEE * math.expm1(position * math.log1p(high / LOG_KNEE))
        digits = 3 if raw < 0.1 else 2
    else:
        raw = low + position * (high - low)
        digits = max(0, 2 - math.floor(math.log10((high - low) * 1.01)))
        digits = min(digits, 2) if high - low > 0.5 else digits
    return max(low, min(high, round(raw, digits)))


def notch(info: KnobInfo, value: Knob, by: int) -> Knob:
    """Return the value `by` notches further: the next choice, or the next number on the slider that differs."""
    if info.choices:
        # what is typed instead of a word comes before the first one
        words = [choice for choice in info.choices if not choice.startswith("*")]
        at = words.index(str(value)) if value in words else -1 if by > 0 else 0
        return words[(at + by) % len(words)]
    position = fraction(info, value)
    for extra in range(NOTCHES):
        steps = by + (extra if by > 0 else -extra)
        new = at_fraction(info, round(position * NOTCHES + steps) / NOTCHES)
        if new != value and (new > float(value)) == (by > 0):
            return new
    return value


def knob_text(value: Knob) -> str:
    """Return a value as text: four digits of a number, or the word."""
    return value if isinstance(value, str) else f"{value:.4g}"


def parse_knobs(texts: Iterable[str], eta: float | None) -> dict[str, Knob]:
    """Return the knobs of `--knob name=value` and `--eta`. Raises ValueError for a missing value or a duplicate."""
    pairs: list[tuple[str, Knob]] = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ValueError(f"a knob is given as name=value, not as {text!r}")
        pairs.append((name.strip(), parsed(value.strip())))
    if eta is not None:
        pairs.append(("eta", eta))
    knobs = dict(pairs)
    if len(knobs) < len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in dict(pairs[:i]))
        raise ValueError(f"the knob {twice} is given twice")
    return knobs


def parsed(text: str) -> Knob:
    """Return the number, truth value or word that a text stands for."""
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def span(info: KnobInfo) -> str:
    """Return the range or the choices of a knob, in words."""
    if info.choices:
        return " | ".join(info.choices)
    return (
        f"{-float('inf') if info.low is None else info.low:g} to {float('inf') if info.high is None else info.high:g}"
    )
