"""The base of strategies: frozen dataclasses of knobs whose plan gives each position's unmask and remask.

Strategies use tensors by their methods alone, so listing them does not import torch.
"""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from engine.records import Knob, KnobInfo, StrategyInfo
from engine.strategies.schedules import linear, uniform_grid

if TYPE_CHECKING:
    from torch import Tensor


SLACK = 1e-9
"""Tolerance for a quota that is whole but for rounding."""


class Candidates(NamedTuple):
    """The network's draw at every masked position, [B, L]: token ids and the probability each has.

    `confidence` is the drawn token's probability before the nucleus and at temperature 1, 0 where nothing is masked.
    """

    ids: Tensor
    confidence: Tensor


@dataclass(frozen=True)
class View:
    """The arguments of a plan.  Prompt positions are neither masked nor revealed.

    t, s, alpha_t and alpha_s are float64 [B, 1] (each sequence may be at its own step); masked and
    revealed are bool [B, L]; held is float64 [B, L], the probability a token had when it was revealed.
    """

    t: Tensor
    s: Tensor
    alpha_t: Tensor
    alpha_s: Tensor
    masked: Tensor
    revealed: Tensor
    held: Tensor
    candidates: Candidates | None = None

    @property
    def sigma_max(self) -> Tensor:
        """Return min(1, (1 - alpha_s) / alpha_t), 1 at alpha_t = 0 (ReMDM, arXiv 2503.00307, sigma_max) [B, 1]."""
        return ((1 - self.alpha_s) / self.alpha_t.clamp(min=1e-300)).clamp(max=1)


class Plan(NamedTuple):
    """Probabilities, broadcastable to [B, L]: of revealing a masked and of masking a revealed position."""

    unmask: Tensor
    remask: Tensor


def posterior(view: View, sigma: Tensor) -> Plan:
    """Return ReMDM's posterior for a given sigma, [B, 1] or [B, L] (arXiv 2503.00307, q_sigma)."""
    unmask = (view.alpha_s - (1 - sigma) * view.alpha_t) / (1 - view.alpha_t).clamp(min=1e-300)
    return Plan(unmask, sigma)


@dataclass(frozen=True)
class Strategy:
    """Subclasses add knobs as fields (see `knob`) and override `plan`; all else has a default."""

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    reads: ClassVar[str] = "time"
    """time, held or candidates: the most expensive input of `plan`"""
    preserves_marginal: ClassVar[bool] = True
    """whether the expected masked fraction is 1 - alpha after every step"""
    leaves_range: ClassVar[str] = ""
    """the formula by which the plan of the last step, where sigma_max is 0, leaves [0, 1]; empty: it does not"""
    from_the_left: ClassVar[bool] = False
    """whether what it reveals is always leftmost, as a model needs that predicts from the left alone"""

    def __post_init__(self) -> None:
        for info in knobs(type(self)):
            value = info.check(getattr(self, info.name))
            object.__setattr__(self, info.name, value)

    def plan(self, view: View) -> Plan:
        raise TypeError(f"{type(self).__name__} has no plan")

    def remask_rule(self, t: float, sigma_max: float) -> str:
        """Return in a few words with numbers what the probability of a remask is at time t; "" if nothing is to say."""
        return ""

    def reveal_rule(self, revealed: int, masked: int) -> str:
        """Return in a few words why a position is one of the `revealed` out of `masked`; "" if by chance alone."""
        return ""

    def alpha(self, t: Tensor) -> Tensor:
        """Return the clock: expected unmasked fraction at time t."""
        return linear(t)

    def grid(self, steps: int) -> NDArray[np.float64]:
        """Return the times visited for a given number of steps, descending from 1."""
        return uniform_grid(steps)


def quota(view: View) -> Tensor:
    """Return the quota of masks of this step, equal for all steps left and rounded up as LLaDA does, long [B, 1]."""
    masked = view.masked.sum(-1, keepdim=True)
    return (masked * (1 - view.s / view.t) - SLACK).ceil().long()


def knob(
    default: Any,
    doc: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    needs: tuple[str, str] | None = None,
    scale: Literal["linear", "log"] = "linear",
) -> Any:
    """Return a field that people may turn; see `engine.records.KnobInfo` for what the rest says."""
    return dataclasses.field(
        default=default,
        kw_only=True,
        metadata={"doc": doc, "low": low, "high": high, "choices": choices, "needs": needs, "scale": scale},
    )


def knobs(strategy: type[Strategy]) -> tuple[KnobInfo, ...]:
    """Return the knobs of a strategy, its own before inherited ones; without those that can have no effect in it."""
    own = list(inspect.get_annotations(strategy))
    fields = sorted(dataclasses.fields(strategy), key=lambda f: own.index(f.name) if f.name in own else len(own))
    infos = [KnobInfo(f.name, cast(Knob, f.default), **{"doc": "", **f.metadata}) for f in fields]
    choices = {info.name: set(info.choices) for info in infos}
    return tuple(info for info in infos if info.needs is None or choices[info.needs[0]] & set(info.needs[1].split("|")))


def describe(strategy: type[Strategy]) -> StrategyInfo:
    return StrategyInfo(
        strategy.name, strategy.summary, strategy.source, strategy.reads, knobs(strategy), strategy.preserves_marginal,
        strategy.leaves_range,
    )  # fmt: skip


def values(strategy: Strategy) -> dict[str, Knob]:
    """Return the knobs as they are set."""
    return {info.name: getattr(strategy, info.name) for info in knobs(type(strategy))}
