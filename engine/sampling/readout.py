"""Read the network: tokens drawn at chosen positions, and the prediction that a plan reads.

The vocabulary head, the nucleus and the draw run on the rows that are needed, a few at a time: a [B, L, V] tensor never
exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from engine.models.chunking import portion
from engine.models.protocol import (
    Denoiser,
    device_of,
    never_drawn,
    quality_of,
)
from engine.records import Settings
from engine.sampling import guidance, kernel, rng
from engine.sampling.encoding import Encoder, ReadPositions, by_shadows
from engine.sampling.guidance import Certainty, Hidden, is_guided
from engine.sampling.rng import Purpose
from engine.sampling.state import SamplerState, StepConfig
from engine.strategies import Prediction, View, reads_of

HEAD_ROWS = 128
"""Rows put through the vocabulary head at once on a processor: enough to read its weights seldom."""
DRAW_CELLS = 1 << 18
"""Probabilities drawn from at once on a processor, rows times vocabulary: 2 MB in float64, which stay in the cache."""
DESCRIBES = frozenset({"spread", "committed", "verified", "divergence", "tempered", "noised", "tilted"})
"""What takes whole distributions rather than draws from them."""


class Predicted(NamedTuple):
    """A prediction, and what drawing it gave besides."""

    prediction: Prediction
    held: Tensor
    """float64 [B, L]: the probability that a token counts as having had if it is put there, after the nucleus"""
    calls: Tensor
    """long [B]: how often each sequence went through the network"""


class BadLogitsError(FloatingPointError):
    """The network's logits for some samples are no numbers to draw from."""

    def __init__(self, places: Sequence[tuple[int, int, int]]) -> None:
        number, step, position = places[0]
        super().__init__(
            f"the network returned logits that are not finite: sample {number}, step {step}, position {position}"
        )
        self.places = tuple(places)
        """(sample number, step, position) of each, in order"""


class Readout:
    """Reads one model under one seed."""

    def __init__(self, model: Denoiser, seed: int) -> None:
        self.model, self.seed = model, seed
        self.device, self.encoder = device_of(model), Encoder(model)
        self._free_encoder = Encoder(model)
        """of the texts without their prompts, which guidance asks for"""

    @torch.no_grad()
    def draw(
        self, config: StepConfig, state: SamplerState, where: Tensor, steps: Sequence[int], alpha_t: Tensor
    ) -> kernel.Drawn:
        """Draw tokens at the chosen positions, where bool [B, L]; N results in order."""
        chosen = ReadPositions.of(where)

        def encoded(encoder: Encoder, shown: SamplerState) -> Tensor:
            return encoder.encode(shown, chosen, shown.noise(alpha_t, self.model.mask_id))

        hidden = self.guided(config.settings, state, encoded)
        keys = self._keys(state, steps)
        parts = []
        for here, logits in self.logits(config.settings, hidden):
            address = kernel.Address(keys[chosen.sequence[here]], chosen.position[here])
            with naming(state, chosen, here, steps):
                parts.append(self._drawn(config.settings, logits, address))
        return kernel.Drawn(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    @torch.no_grad()
    def predict(self, config: StepConfig, state: SamplerState, steps: Sequence[int], view: View) -> Predicted:
        """Return the network's prediction where the strategy reads it, and no more than it reads."""
        where, ends = config.strategy.positions(view) & state.open, config.strategy.sees(view)
        if "planned" in reads_of(config.strategy):
            # the planner is shown a draw in the place of the prompt too
            where = where | state.prompt_in_sight & where.any(-1, keepdim=True)
        if ends is not None:
            where = where & (torch.arange(where.shape[1], device=self.device) < ends[:, None])
        columns = [*Prediction.blank(state.held), torch.full_like(state.held, torch.nan)]
        if bool(where.any()):
            values = self._read(config, state, steps, view, where, ends)
            columns = [column.clone() for column in columns]
            for column, value in zip(columns, values, strict=True):
                column[where] = value
        *found, held = columns
        calls = where.any(-1).long()
        if "verified" in reads_of(config.strategy) and not by_shadows(self.model, config.strategy):
            calls = (where & view.masked).any(-1).long() + (where & ~view.masked).sum(-1)
        return Predicted(Prediction(*found), held, calls)

    def _read(
        self, config: StepConfig, state: SamplerState, steps: Sequence[int], view: View, where: Tensor,
        ends: Tensor | None,
    ) -> list[Tensor]:  # fmt: skip
        """Return the columns of `Prediction`, then `held`, at the N chosen positions, [N] each."""
        reads, chosen = reads_of(config.strategy), ReadPositions.of(where)
        settings = config.settings
        # the last step's come first, since what is kept of it is replaced by this step's
        last = self._last(settings, state, chosen)

        def encoded(encoder: Encoder, shown: SamplerState) -> Tensor:
            noise = shown.noise(view.alpha_t, self.model.mask_id)
            if "verified" in reads:
                shadows = by_shadows(self.model, config.strategy)
                return encoder.encode_verified(shown, where, view, noise, shadows, keep=last is not None)
            if ends is None:
                return encoder.encode(shown, chosen, noise, keep=last is not None)
            return encoder.encode_cut(shown, chosen, noise, ends)

        hidden = self.guided(settings, state, encoded)
        keys, tokens = self._keys(state, steps), state.tokens[where]
        committed = ~view.masked[where]
        argmax = committed & ("drawn" not in reads)
        # at temperature 0 there is no noise, and the nucleus is that of temperature 1
        tempered = "tempered" in reads and (settings.temperature > 0 or settings.top_p < 1)
        # what is described is then what is drawn from
        reused = tempered and settings.temperature > 0 and "tilted" not in reads
        noised = "noised" in reads and settings.temperature > 0
        gumbel = self._keys(state, steps, Purpose.GUMBEL) if noised else keys
        parts: list[tuple[Tensor, ...]] = []
        quality = self._quality(hidden.own) if "quality" in reads else torch.full_like(state.held[where], torch.nan)
        for here, logits in self.logits(settings, hidden):
            address = kernel.Address(keys[chosen.sequence[here]], chosen.position[here])
            with naming(state, chosen, here, steps):
                if not reads & DESCRIBES:
                    ids, held, sure = self._drawn(settings, logits, address)
                    nothing = torch.full_like(held, torch.nan)
                    logit = _logit(logits, ids) if "logit" in reads else nothing
                    certain = Certainty(sure, nothing, nothing, logit, quality[here])
                    certain = guidance.certainty(self.model, settings, logits, ids, certain, ~committed[here])
                    parts.append((ids, certain.confidence, nothing, ids, *(nothing,) * 4, *certain[3:], held))
                    continue
                plain = kernel.probabilities(logits, self.model.mask_id, never=never_drawn(self.model))
                p = self._distributions(settings, logits, plain) if tempered else plain
                seen, standing = kernel.summarize_rows(p, tokens[here]), plain.gather(-1, tokens[here, None])
                moved = torch.full_like(p[:, 0], torch.nan) if last is None else self._moved(settings, p, last, here)
                if "tilted" in reads:
                    at = chosen.sequence[here], chosen.position[here]
                    memory = {name: value[at] for name, value in view.memory.items()}
                    logits = kernel.tilted(logits, *config.strategy.tilt(memory, seen.top, seen.top_p))
                    plain = kernel.probabilities(logits, self.model.mask_id, never=never_drawn(self.model))
                ids, sure, held = seen.top.clone(), seen.top_p.clone(), seen.top_p.clone()
                some = ~argmax[here]
                if bool(some.any()):
                    places = kernel.Address(*(part[some] for part in address))
                    law = p[some] if reused else None
                    if noised and law is None:
                        law = self._distributions(settings, logits[some], plain[some])
                    ids[some], held[some], sure[some] = self._drawn(settings, logits[some], places, plain[some], law)
                    if tempered:
                        sure[some] = p[some].gather(-1, ids[some, None])[:, 0]
                    if noised:
                        places = kernel.Address(gumbel[chosen.sequence[here][some]], places.positions)
                        assert law is not None
                        sure[some] = kernel.noised(law, ids[some], places)
                current = standing[:, 0].masked_fill(~committed[here], torch.nan)
                logit = _logit(logits, ids) if "logit" in reads else torch.full_like(sure, torch.nan)
                certain = Certainty(sure, seen.margin, seen.entropy, logit, quality[here])
                certain = guidance.certainty(self.model, settings, logits, ids, certain, ~committed[here])
                sure, margin, entropy, *raw = certain
                parts.append((ids, sure, current, seen.top, seen.top_p, margin, entropy, moved, *raw, held))
        return [torch.cat(column) for column in zip(*parts, strict=True)]

    def _quality(self, hidden: Tensor) -> Tensor:
        score = quality_of(self.model)
        # `validation.check_reads` refuses such a strategy where a run begins
        assert score is not None
        return score(hidden).double()

    def _last(self, settings: Settings, state: SamplerState, chosen: ReadPositions) -> tuple[Hidden, Tensor] | None:
        """Return what the network gave of the chosen positions in the last step, and where there was one, bool [N].

        None where the strategy does not compare with it.
        """
        if state.memory is None or state.memory.shown is None:
            return None

        def encoded(encoder: Encoder, then: SamplerState) -> Tensor:
            assert then.memory is not None
            assert then.memory.shown is not None
            return encoder.last_hidden(then, chosen, then.memory.shown)

        return self.guided(settings, state, encoded), state.memory.shown.tokens[chosen.sequence, 0] >= 0

    def _moved(self, settings: Settings, p: Tensor, last: tuple[Hidden, Tensor], here: slice) -> Tensor:
        """Return KL(p || p of the last step) [N] of the rows `here`, infinite where there was none."""
        hidden, known = last[0].rows(here), last[1][here]
        moved = torch.full_like(p[:, 0], torch.inf)
        if bool(known.any()):
            logits = guidance.logits_of(self.model, settings, hidden.rows(known))
            before = kernel.probabilities(logits, self.model.mask_id, never=never_drawn(self.model))
            moved[known] = kernel.divergence(p[known], before)
        return moved

    def _distributions(self, settings: Settings, logits: Tensor, plain: Tensor) -> Tensor:
        """Return the distributions [N, V] that tokens are drawn from, or whose argmax they are at temperature 0.

        plain: those at temperature 1.
        """
        temperature, never = settings.temperature or 1.0, never_drawn(self.model)
        p = plain if temperature == 1 else kernel.probabilities(logits, self.model.mask_id, temperature, never=never)
        return p if settings.top_p >= 1 else kernel.nucleus_top(p, settings.top_p, settings.nucleus)

    def _keys(self, state: SamplerState, steps: Sequence[int], purpose: Purpose = Purpose.TOKEN) -> Tensor:
        return torch.from_numpy(rng.keys_of(self.seed, state.numbers, steps, purpose)).to(self.device)

    def guided(
        self, settings: Settings, state: SamplerState, encoded: Callable[[Encoder, SamplerState], Tensor]
    ) -> Hidden:
        """Return what `encoded` gives of a state, and under guidance of the one without the prompt."""
        own = encoded(self.encoder, state)
        if not is_guided(settings, state):
            return Hidden(own)
        return Hidden(own, encoded(self._free_encoder, guidance.without_prompt(self.model, state)))

    def logits(self, settings: Settings, hidden: Hidden) -> Iterator[tuple[slice, Tensor]]:
        """Yield the logits a few rows at a time, with the rows that they are of."""
        at_once = max(1, portion(DRAW_CELLS, self.device) // self.model.vocab_size)
        # where the vocabulary is small, as many rows as are drawn from at once
        head_rows = max(portion(HEAD_ROWS, self.device), at_once)
        for i in range(0, len(hidden.own), head_rows):
            logits = guidance.logits_of(self.model, settings, hidden.rows(slice(i, i + head_rows)))
            for j in range(0, len(logits), at_once):
                yield slice(i + j, i + min(j + at_once, len(logits))), logits[j : j + at_once]

    def _drawn(
        self, settings: Settings, logits: Tensor, address: kernel.Address, plain: Tensor | None = None,
        law: Tensor | None = None,
    ) -> kernel.Drawn:  # fmt: skip
        return kernel.draw(
            logits,
            address,
            mask_id=self.model.mask_id,
            top_p=settings.top_p,
            nucleus=settings.nucleus,
            temperature=settings.temperature,
            how=settings.draw,
            never=never_drawn(self.model),
            plain=plain,
            law=law,
        )


def _logit(logits: Tensor, ids: Tensor) -> Tensor:
    return logits.gather(-1, ids[:, None])[:, 0].double()


@contextmanager
def naming(state: SamplerState, chosen: ReadPositions, here: slice, steps: Sequence[int]) -> Iterator[None]:
    """Raise BadLogitsError with samples, steps and positions where the rows `here` are not finite."""
    try:
        yield
    except kernel.NotFiniteError as error:
        sequence, position = chosen.sequence[here].tolist(), chosen.position[here].tolist()
        at = [(sequence[row], position[row]) for row in error.rows]
        raise BadLogitsError([(state.numbers[b], steps[b], place) for b, place in at]) from error
