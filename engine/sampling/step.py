"""One step of many trajectories: plan by the strategy, draw the flips, call the network for what is revealed.

The flips come first: whether a position changes never depends on what it is revealed to, so the head, the
nucleus and the draw run on the revealed rows alone.  `engine.sampling.oracle` is the dense update this must equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.models.protocol import Denoiser, device_of
from engine.records import Settings
from engine.sampling import kernel, rng
from engine.sampling.guidance import is_guided
from engine.sampling.memory import ShownState, StrategyMemory, begin
from engine.sampling.readout import Predicted, Readout
from engine.sampling.rng import Purpose
from engine.sampling.second_calls import with_second_calls
from engine.sampling.simplex import SimplexReader
from engine.sampling.state import SamplerState, StepConfig
from engine.strategies import Plan, Strategy, View, asks_network, reads_of
from engine.strategies.validation import StrategyError

SMALLEST = 2.0**-54
"""Below the smallest uniform above 0, so that the logarithm of one is finite."""
ROUNDING = 1e-9
"""A plan this far out of [0, 1] left it by rounding, not by its formula."""


@dataclass(frozen=True)
class Flips:
    """What changes in one step: bool [B, L] each."""

    reveal: Tensor
    forget: Tensor
    edit: Tensor | None = None
    drawn: tuple[Tensor, Tensor] | None = None
    """(ids, held) [B, L] already drawn, where the plan had to look at them"""
    renewed: Tensor | None = None
    """where the token stays and takes its probability of this step as `held`"""

    def waiting(self) -> Tensor:
        """Return bool [B]: sequences that reveal something whose token is not drawn yet."""
        return self.reveal.any(-1) if self.drawn is None else torch.zeros_like(self.reveal[:, 0])


@dataclass(frozen=True)
class Decision:
    """A plan after clamping, broadcastable to [B, L], and the flips drawn for it."""

    unmask: Tensor
    remask: Tensor
    excess: Tensor
    """[B]: how far the plan left [0, 1] where it applied"""
    flips: Flips
    edit: Tensor | None = None
    """None where the strategy edits nothing"""
    memory: StrategyMemory | None = None
    """of the state after the step"""


class Stepper:
    """Steps trajectories of one model under one seed."""

    def __init__(self, model: Denoiser, seed: int) -> None:
        self.model, self.seed = model, seed
        self.device = device_of(model)
        self.readout, self.simplex = Readout(model, seed), SimplexReader(model, seed)

    def decide(
        self, config: StepConfig, state: SamplerState, steps: Sequence[int], t: Tensor, s: Tensor
    ) -> tuple[Decision, Tensor]:
        """Draw the flips of step number steps[b] from t to s, float64 [B, 1].

        Returns them and long [B], how often each sequence went through the network for them.
        """
        strategy = config.strategy
        memory = memory_of(strategy, state)
        view = view_of(strategy, replace(state, memory=memory), self.model, self.seed, steps, t, s)
        seen = None
        if "simplex" in reads_of(strategy):
            return self._over_simplex(config, replace(state, memory=memory), steps, view)
        if asks_network(strategy):
            seen = self.readout.predict(config, replace(state, memory=memory), steps, view)
            view = replace(view, prediction=seen.prediction)
            view, more = with_second_calls(self.readout, strategy, config.settings, state, view)
            seen = seen._replace(calls=seen.calls + more)
        calls = torch.zeros_like(view.masked[:, 0]).long() if seen is None else seen.calls
        plan = strategy.plan(view)
        decision = self._flip(state, steps, view, plan, seen)
        if memory is not None:
            decision = replace(decision, memory=self._remembered(memory, plan, state, view, calls > 0))
        return decision, calls

    def _over_simplex(
        self, config: StepConfig, state: SamplerState, steps: Sequence[int], view: View
    ) -> tuple[Decision, Tensor]:
        """Decide a step in which every open position takes the network's argmax and its probability."""
        seen, own = self.simplex.predict(config, state, steps, view.t, view.alpha_t)
        decision = self._flip(state, steps, view, config.strategy.plan(view), seen)
        flips = replace(decision.flips, renewed=view.revealed & (seen.prediction.ids == state.tokens))
        return replace(decision, flips=flips, memory=StrategyMemory(config.strategy.name, own)), seen.calls

    def _flip(
        self, state: SamplerState, steps: Sequence[int], view: View, plan: Plan, seen: Predicted | None
    ) -> Decision:
        """Draw what changes by a plan: one uniform a position, below remask it is masked, then below edit edited."""
        unmask, over = kernel.clamp(plan.unmask)
        remask, above = kernel.clamp(plan.remask)
        excess = torch.maximum((over * view.masked).amax(-1), (above * view.revealed).amax(-1))
        keys = torch.from_numpy(rng.keys_of(self.seed, state.numbers, steps, Purpose.CHANGE)).to(self.device)
        u = rng.uniforms(keys[:, None], torch.arange(state.tokens.shape[1], device=self.device))
        reveal, forget = view.masked & (u < unmask), view.revealed & (u < remask)
        if seen is None:
            return Decision(unmask, remask, excess * (excess > ROUNDING), Flips(reveal, forget))
        ids = seen.prediction.ids
        if bool((reveal & (ids < 0)).any()):
            raise StrategyError("the plan reveals positions at which it does not read the prediction")
        edit = flipped = None
        if plan.edit is not None and bool(seen.calls.any()):
            edit, beyond = kernel.clamp(plan.edit)
            if plan.edit.dim() == 2 and plan.edit.shape[-1] > 1:
                # one number for all positions means those that can be edited, one for each means each
                excess = torch.maximum(excess, (edit * ~view.revealed).amax(-1))
                edit = edit * view.revealed
            room = 1 - remask
            beyond, edit = beyond + (edit - room).clamp(min=0), torch.minimum(edit, room)
            excess = torch.maximum(excess, (beyond * view.revealed).amax(-1))
            if bool((view.revealed & (edit > 0) & (ids < 0) & (seen.calls > 0)[:, None]).any()):
                raise StrategyError("the plan edits positions at which it does not read the prediction: read committed")
            flipped = view.revealed & ~forget & (u < remask + edit) & (ids >= 0) & (ids != state.tokens)
        flips = Flips(reveal, forget, flipped, (ids, seen.held))
        return Decision(unmask, remask, excess * (excess > ROUNDING), flips, edit)

    def _remembered(
        self, memory: StrategyMemory, plan: Plan, state: SamplerState, view: View, called: Tensor
    ) -> StrategyMemory:
        own = memory.own if plan.memory is None else plan.memory
        noise = state.noise(view.alpha_t, self.model.mask_id)
        return replace(memory, own=own).after(called, view.prediction, ShownState(state.tokens.clone(), noise.clone()))

    def apply(
        self, config: StepConfig, state: SamplerState, flips: Flips, steps: Sequence[int], alpha_t: Tensor
    ) -> int:
        """Apply the flips in place; return the number of network calls."""
        need = flips.waiting()
        # tokens are drawn before anything is forgotten: x0 is predicted from the state at t
        if flips.drawn is not None:
            ids, held = flips.drawn
            put = flips.reveal if flips.edit is None else flips.reveal | flips.edit
            state.tokens[put], state.held[put] = ids[put], held[put]
            if flips.renewed is not None:
                state.held[flips.renewed] = held[flips.renewed]
        elif bool(need.any()):
            drawn = self.readout.draw(config, state, flips.reveal, steps, alpha_t)
            state.tokens[flips.reveal] = drawn.ids
            state.held[flips.reveal] = drawn.held
        state.tokens[flips.forget] = self.model.mask_id
        state.held[flips.forget] = torch.nan
        return int(need.sum()) * self.rows_a_call(config, state)

    def rows_a_call(self, config: StepConfig, state: SamplerState) -> int:
        """Return how often a sequence goes through the network for one prediction: twice under guidance."""
        return 1 + is_guided(config.settings, state)

    def finish(
        self, config: StepConfig, state: SamplerState, alpha_t: Tensor, steps: Sequence[int]
    ) -> tuple[Tensor, int]:
        """Set every open mask left to the argmax; return (where, bool [B, L]; network calls)."""
        where = state.masked(self.model.mask_id)
        calls = int(where.any(-1).sum()) * self.rows_a_call(config, state)
        if not calls:
            return where, 0
        now = config.settings
        argmax = Settings(now.strategy, top_p=1.0, temperature=0.0, cfg=now.cfg, eos_bias=now.eos_bias)
        greedy = StepConfig(config.strategy, argmax)
        drawn = self.readout.draw(greedy, state, where, steps, alpha_t)
        state.tokens[where], state.held[where] = drawn.ids, drawn.held
        return where, calls


def view_of(
    strategy: Strategy, state: SamplerState, model: Denoiser, seed: int, steps: Sequence[int], t: Tensor, s: Tensor
) -> View:
    """Return what the plan of step number steps[b] from t to s, float64 [B, 1], is shown but for the prediction."""
    masked, alphas = state.masked(model.mask_id), (strategy.alpha(t), strategy.alpha(s))
    view = View(
        t, s, *alphas, masked, state.open & ~masked, state.held, vocab_size=model.vocab_size, tokens=state.tokens
    )
    memory = memory_of(strategy, state)
    if memory is not None:
        view = replace(view, previous=memory.previous, memory=memory.own)
    if "noise" in reads_of(strategy):
        device = state.tokens.device
        keys = torch.from_numpy(rng.keys_of(seed, state.numbers, steps, Purpose.RANK)).to(device)
        positions, count = torch.arange(state.tokens.shape[1], device=device), strategy.uniforms()
        if count == 1:
            noise = rng.uniforms(keys[:, None], positions)
        else:
            every = keys.repeat_interleave(len(positions)), positions.repeat(len(keys))
            noise = rng.over_vocabulary(*every, count).view(*state.tokens.shape, count)
        view = replace(view, noise=noise.clamp(min=SMALLEST))
    return view


def memory_of(strategy: Strategy, state: SamplerState) -> StrategyMemory | None:
    """Return what a strategy remembers in a state: nothing yet if the last step was another's."""
    kept = state.memory
    return kept if kept is not None and kept.owner == strategy.name else begin(strategy, state.held)
