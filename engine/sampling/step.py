"""One step of many trajectories: plan by the strategy, draw the flips, call the network for what is revealed.

The flips come first: whether a position changes never depends on what it is revealed to, so the head, the
nucleus and the draw run on the revealed rows alone.  `engine.sampling.oracle` is the dense update this must equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.models.chunking import portion
from engine.models.protocol import Denoiser, device_of, encode_rows, never_drawn
from engine.records import Settings
from engine.sampling import kernel, rng
from engine.sampling.rng import Purpose
from engine.strategies import Candidates, Strategy, View

HEAD_ROWS = 128
"""Rows put through the vocabulary head at once on a processor: enough to read its weights seldom."""
DRAW_CELLS = 1 << 18
"""Probabilities drawn from at once on a processor, rows times vocabulary: 2 MB in float64, which stay in the cache."""
ROUNDING = 1e-9
"""A plan this far out of [0, 1] left it by rounding, not by its formula."""


@dataclass(frozen=True)
class StepConfig:
    """What decides a step: the strategy and the settings that name it."""

    strategy: Strategy
    settings: Settings


@dataclass
class SamplerState:
    """B trajectories of L positions, on the model's device.

    tokens long [B, L]; held float64 [B, L], the probability each token had when it was revealed; locked
    bool [B, L], the tokens of the prompt, wherever they are; numbers, the sample number of each row; active bool
    [B, L], the block that is being generated, outside which nothing is revealed or remasked (None: all but the prompt
    is one block); seen long [B, W], the positions in order that the network is shown, the active ones among them
    (None: all).
    """

    tokens: Tensor
    held: Tensor
    locked: Tensor
    numbers: list[int]
    active: Tensor | None = None
    seen: Tensor | None = None

    @classmethod
    def blank(cls, model: Denoiser, length: int, numbers: Sequence[int], prompt: Sequence[int] = ()) -> SamplerState:
        """Return all masked but for the prompt at the start; masks in it are masked like the rest."""
        shape, device = (len(numbers), length), device_of(model)
        tokens = torch.full(shape, model.mask_id, dtype=torch.long, device=device)
        held = torch.full(shape, torch.nan, dtype=torch.float64, device=device)
        locked = torch.zeros(shape, dtype=torch.bool, device=device)
        if prompt:
            tokens[:, : len(prompt)] = torch.tensor(list(prompt), device=device)
            locked = tokens != model.mask_id
            held[locked] = 1.0
        return cls(tokens, held, locked, list(numbers))

    def copy(self) -> SamplerState:
        """Return a copy whose tokens can change independently."""
        return replace(self, tokens=self.tokens.clone(), held=self.held.clone())

    @property
    def open(self) -> Tensor:
        """Return bool [B, L]: the positions that a sampler may touch now."""
        return ~self.locked if self.active is None else self.active & ~self.locked

    def masked(self, mask_id: int) -> Tensor:
        """Return bool [B, L]: the masks that a sampler may reveal now."""
        return (self.tokens == mask_id) & self.open

    def noise(self, alpha_t: Tensor, mask_id: int) -> Tensor:
        """Return the noise level that the network is given, float64 [B]: 1 - alpha_t, alpha_t [B, 1].

        In blocks, where alpha_t is one block's, it is the masked fraction of all that is seen, prompt included.
        """
        if self.active is None:
            return (1 - alpha_t).expand(len(self.numbers), 1)[:, 0]
        return (self.shown(self.tokens) == mask_id).double().mean(-1)

    def shown(self, values: Tensor) -> Tensor:
        """Return values [B, L] at the positions that the network sees, [B, W]."""
        return values if self.seen is None else values.gather(1, self.seen)


@dataclass(frozen=True)
class Flips:
    """What changes in one step: bool [B, L] each."""

    reveal: Tensor
    forget: Tensor
    drawn: tuple[Tensor, Tensor] | None = None
    """(ids, held) [B, L] already drawn at masked positions, where the plan had to look at them"""

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


class BadLogitsError(FloatingPointError):
    """The network's logits for some samples are no numbers to draw from."""

    def __init__(self, places: Sequence[tuple[int, int, int]]) -> None:
        number, step, position = places[0]
        super().__init__(
            f"the network returned logits that are not finite: sample {number}, step {step}, position {position}"
        )
        self.places = tuple(places)
        """(sample number, step, position) of each, in order"""


class Stepper:
    """Steps trajectories of one model under one seed."""

    def __init__(self, model: Denoiser, seed: int) -> None:
        self.model, self.seed = model, seed
        self.device = device_of(model)

    def decide(
        self, control: StepConfig, state: SamplerState, steps: Sequence[int], t: Tensor, s: Tensor
    ) -> tuple[Decision, int]:
        """Draw the flips of step number steps[b] from t to s, float64 [B, 1]; return them and the network calls."""
        strategy = control.strategy
        masked = state.masked(self.model.mask_id)
        revealed = state.open & ~masked
        alpha_t, alpha_s = strategy.alpha(t), strategy.alpha(s)
        view = View(t, s, alpha_t, alpha_s, masked, revealed, state.held)
        calls, drawn = 0, None
        if strategy.reads == "candidates":
            candidates, held, calls = self.candidates(control, state, steps, alpha_t, masked)
            view = View(t, s, alpha_t, alpha_s, masked, revealed, state.held, candidates)
            drawn = (candidates.ids, held)
        plan = strategy.plan(view)
        unmask, over = kernel.clamp(plan.unmask)
        remask, above = kernel.clamp(plan.remask)
        excess = torch.maximum((over * masked).amax(-1), (above * revealed).amax(-1))
        keys = self._keys(state, steps, Purpose.CHANGE)
        u = rng.uniforms(keys[:, None], torch.arange(state.tokens.shape[1], device=self.device))
        flips = Flips(masked & (u < unmask), revealed & (u < remask), drawn)
        return Decision(unmask, remask, excess * (excess > ROUNDING), flips), calls

    def apply(
        self, control: StepConfig, state: SamplerState, flips: Flips, steps: Sequence[int], alpha_t: Tensor
    ) -> int:
        """Apply the flips in place; return the number of network calls."""
        need = flips.waiting()
        # tokens are drawn before anything is forgotten: x0 is predicted from the state at t
        if flips.drawn is not None:
            ids, held = flips.drawn
            state.tokens[flips.reveal] = ids[flips.reveal]
            state.held[flips.reveal] = held[flips.reveal]
        elif bool(need.any()):
            rows = need.nonzero()[:, 0]
            drawn = self._draw(control, state, rows, flips.reveal[rows], steps, alpha_t)
            state.tokens[flips.reveal] = drawn.ids
            state.held[flips.reveal] = drawn.held
        state.tokens[flips.forget] = self.model.mask_id
        state.held[flips.forget] = torch.nan
        return int(need.sum())

    def finish(
        self, control: StepConfig, state: SamplerState, alpha_t: Tensor, steps: Sequence[int]
    ) -> tuple[Tensor, int]:
        """Set every open mask left to the argmax; return (where, bool [B, L]; network calls)."""
        where = state.masked(self.model.mask_id)
        rows = where.any(-1).nonzero()[:, 0]
        if len(rows) == 0:
            return where, 0
        greedy = StepConfig(control.strategy, Settings(control.settings.strategy, top_p=1.0, temperature=0.0))
        drawn = self._draw(greedy, state, rows, where[rows], steps, alpha_t)
        state.tokens[where], state.held[where] = drawn.ids, drawn.held
        return where, len(rows)

    def _keys(self, state: SamplerState, steps: Sequence[int], purpose: Purpose) -> Tensor:
        return torch.from_numpy(rng.keys(self.seed, state.numbers, steps, purpose)).to(self.device)

    @torch.no_grad()
    def _draw(
        self,
        control: StepConfig,
        state: SamplerState,
        rows: Tensor,
        where: Tensor,
        steps: Sequence[int],
        alpha_t: Tensor,
    ) -> kernel.Drawn:
        """Draw tokens at the chosen positions, where bool [R, L], of the chosen rows [R]; N results in order."""
        settings = control.settings
        noise = state.noise(alpha_t, self.model.mask_id)[rows]
        shown = replace(state, seen=None if state.seen is None else state.seen[rows]).shown
        hidden = encode_rows(self.model, shown(state.tokens[rows]), noise, shown(where))
        keys = self._keys(state, steps, Purpose.TOKEN)[rows]
        sequence, position = where.nonzero(as_tuple=True)
        at_once = max(1, portion(DRAW_CELLS, self.device) // self.model.vocab_size)
        head_rows = portion(HEAD_ROWS, self.device)
        parts = []
        for i in range(0, len(hidden), head_rows):
            logits = self.model.project(hidden[i : i + head_rows])
            for j in range(0, len(logits), at_once):
                here = slice(i + j, i + min(j + at_once, len(logits)))
                address = kernel.Address(keys[sequence[here]], position[here])
                try:
                    drawn = kernel.draw(
                        logits[j : j + at_once],
                        address,
                        mask_id=self.model.mask_id,
                        top_p=settings.top_p,
                        nucleus=settings.nucleus,
                        temperature=settings.temperature,
                        how=settings.draw,
                        never=never_drawn(self.model),
                    )
                except kernel.NotFiniteError as error:
                    at = [(int(rows[sequence[here][row]]), int(position[here][row])) for row in error.rows]
                    raise BadLogitsError([(state.numbers[b], steps[b], place) for b, place in at]) from error
                parts.append(drawn)
        return kernel.Drawn(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def candidates(
        self, control: StepConfig, state: SamplerState, steps: Sequence[int], alpha_t: Tensor, masked: Tensor
    ) -> tuple[Candidates, Tensor, int]:
        """Return the draw at every masked position, bool [B, L]: candidates, their `held` [B, L] and the network
        calls.
        """
        ids, held = state.tokens.clone(), torch.full_like(state.held, torch.nan)
        confidence = torch.zeros_like(held)
        rows = masked.any(-1).nonzero()[:, 0]
        if len(rows):
            drawn = self._draw(control, state, rows, masked[rows], steps, alpha_t)
            ids[masked], held[masked], confidence[masked] = drawn
        return Candidates(ids, confidence), held, len(rows)
