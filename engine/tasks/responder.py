"""Answers of one model under one sampler: generated texts, and likelihoods.

Items share the network where their prompts have the same length.  An answer depends on its item, the seed and the
settings alone: not on the batch, the order, or which other items there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import msgspec
import numpy as np
from torch import Tensor

from engine.evaluation.drawing import draw_samples
from engine.evaluation.plan import Sampling
from engine.metrics.continuation import DRAWS, by_chain_rule, by_rule, is_rule, monte_carlo
from engine.metrics.likelihood import is_causal
from engine.metrics.rule_likelihood import DecodingRule
from engine.models import TextModel
from engine.sampling.batch import AbandonedSample
from engine.sampling.figures import unigram_entropy
from engine.strategies import make_strategy
from engine.system.callbacks import ignore
from engine.tasks.items import AnswerLine, Item, until_stop
from engine.tasks.trajectory import RightSteps

GREEDY = DecodingRule(make_strategy("low-confidence"))
"""The rule that greedy decoding follows where the sampler itself is none, as in LLaDA's evaluation."""
SEAM = 4
"""Tokens at the end of a text that those after them may still change, as where a tokenizer cleans up spaces."""

AnswerJudge = Callable[[Item, str], bool | None]
"""(item, text) -> whether its answer is right; None if that is unknown."""


@dataclass
class Responder:
    """Answers items.

    sampling: its `length` and `steps` are those of an answer; `count` and `prompt` have no meaning.
    """

    model: TextModel
    sampling: Sampling
    width: int
    """items, or maskings of one, that share the network"""
    draws: int = DRAWS
    """maskings of a continuation whose likelihood is not exact"""
    judge: AnswerJudge | None = None
    """by which the answer is judged after every step; None: it is not"""
    notice: Callable[[str], None] = ignore
    _failed: dict[int, AbandonedSample] = field(default_factory=dict)

    def answers(self, items: Sequence[Item]) -> Iterator[AnswerLine]:
        """Yield the answers to different items, each as it is finished, in any order."""
        items = list(dict.fromkeys(items))
        yield from self._generated([item for item in items if item.kind == "generate"])
        yield from self._continued([item for item in items if item.kind == "continue"])
        for item in items:
            if item.kind == "score":
                yield self._scored(item)

    # -- generated texts

    def _generated(self, items: Sequence[Item]) -> Iterator[AnswerLine]:
        prompts = [(self.model.codec.encode(item.context, item.special), item) for item in items]
        prompts.sort(key=lambda pair: len(pair[0]))
        for size, group in groupby(prompts, key=lambda pair: len(pair[0])):
            whole = self.sampling.length + size
            fitting = []
            for prompt, item in group:
                problem = self._problem(prompt, whole)
                if problem:
                    yield AnswerLine(item.key, problem=problem)
                else:
                    fitting.append((prompt, item))
            if fitting:
                yield from self._drawn(fitting, whole)

    def _problem(self, prompt: Sequence[int], whole: int) -> str:
        most = self.model.max_length
        if most is not None and whole > most:
            return (
                f"prompt of {len(prompt)} tokens and answer of {self.sampling.length} are longer than the model's "
                f"canvas of {most}"
            )
        return "the prompt holds the model's mask" if self.model.mask_id in prompt else ""

    def _drawn(self, pairs: Sequence[tuple[Sequence[int], Item]], whole: int) -> Iterator[AnswerLine]:
        """Yield the answers to prompts of one length."""
        by_number = {item.number: item for _, item in pairs}
        size = len(pairs[0][0])
        trails = {number: self._trail(item) for number, item in by_number.items()} if self.judge else {}

        def step(number: int, tokens: Tensor) -> None:
            trails[number].add(self.text(tokens[size:].tolist()))

        def has_ended(number: int, tokens: Tensor) -> bool:
            return self._is_known(by_number[number], tokens[size:].tolist())

        found = draw_samples(
            self.model, msgspec.structs.replace(self.sampling, length=whole), (), list(by_number), self.width,
            self._give_up, self.notice, prompts={item.number: prompt for prompt, item in pairs},
            on_step=step if trails else None, has_ended=has_ended,
        )  # fmt: skip
        for sample in found:
            trail = trails.pop(sample.number, None)
            yield self._line(by_number[sample.number], sample.tokens[size:].tolist(), sample.network_calls, trail)
        for number in by_number.keys() & self._failed.keys():
            lost = self._failed.pop(number)
            problem = f"the network's logits at step {lost.step}, position {lost.position} are not finite"
            yield AnswerLine(by_number[number].key, problem=problem)

    def _is_known(self, item: Item, ids: Sequence[int]) -> bool:
        """Return whether an answer that begins with these tokens ends among them, by a token or a stop sequence."""
        if not set(ids).isdisjoint(self.model.ends):
            return True
        if not item.until:
            return False
        text = self.text(ids[:-SEAM])
        answer = until_stop(text, item.until)
        return answer != text and answer == until_stop(self.text(ids), item.until)

    def _trail(self, item: Item) -> RightSteps:
        judge = self.judge
        assert judge is not None
        return RightSteps(lambda text: judge(item, text))

    def _give_up(self, lost: AbandonedSample) -> None:
        self._failed[lost.number] = lost

    def _line(self, item: Item, ids: list[int], calls: int, trail: RightSteps | None) -> AnswerLine:
        ends = [token in self.model.ends for token in ids]
        return AnswerLine(
            item.key, self.text(ids), tuple(ids), calls, tokens=ends.index(True) if any(ends) else len(ids),
            ends=sum(ends) / len(ids), entropy=unigram_entropy(np.asarray(ids)),
            right=None if trail is None else trail.spans, steps=0 if trail is None else trail.steps,
        )  # fmt: skip

    def text(self, ids: Sequence[int]) -> str:
        """Return what an answer says: its tokens but for masks, up to the first that ends a text."""
        end = next((at for at, token in enumerate(ids) if token in self.model.ends), len(ids))
        return self.model.codec.decode([token for token in ids[:end] if token != self.model.mask_id])

    # -- likelihoods

    @cached_property
    def _is_rule(self) -> bool:
        # one token a step: whatever is revealed in one step is revealed for certain
        return is_rule(self.model, DecodingRule(make_strategy(self.sampling.strategy, **self.sampling.knobs)))

    def _rule(self, length: int) -> DecodingRule:
        """Return the sampler as a rule for this number of tokens, which reveals as many a step as in an answer."""
        sampling = self.sampling
        steps = min(length, -(-length * sampling.steps // sampling.length))
        return DecodingRule(make_strategy(sampling.strategy, **sampling.knobs), steps, sampling.block_length)

    def _continued(self, items: Sequence[Item]) -> Iterator[AnswerLine]:
        rows = sorted(((*self._pair(item), item) for item in items), key=lambda row: (len(row[0]), row[1]))
        for (size, given), group in groupby(rows, key=lambda row: (len(row[0]), row[1])):
            some = list(group)
            if is_causal(self.model):
                for row, _, cut, item in some:
                    found = by_chain_rule(self.model, row, given)
                    yield AnswerLine(item.key, network_calls=found.network_calls, tokens=size - given, cut=cut,
                                     log_likelihood=found.value, is_greedy=found.is_greedy)  # fmt: skip
                continue
            rule = self._rule(size - given) if self._is_rule else GREEDY
            for at in range(0, len(some), self.width):
                part = some[at : at + self.width]
                exact = by_rule(self.model, rule, [row for row, *_ in part], given, batch=self.width)
                for (row, _, cut, item), found in zip(part, exact, strict=True):
                    value, calls = found.value, found.network_calls
                    if not self._is_rule:
                        value, calls = self._bound(row, given, item), calls + self.draws
                    yield AnswerLine(item.key, network_calls=calls, tokens=size - given, cut=cut,
                                     log_likelihood=value, is_greedy=found.is_greedy)  # fmt: skip

    def _bound(self, row: Sequence[int], given: int, item: Item) -> float:
        return monte_carlo(
            self.model, row, given, item.number, seed=self.sampling.seed, draws=self.draws, batch=self.width
        )

    def _pair(self, item: Item) -> tuple[list[int], int, int]:
        """Return context and continuation, how many tokens are the context's, and how many of it were left out.

        White space at the end of the context belongs to the continuation, as tokens begin with it.
        """
        context = item.context.rstrip() if not item.special else item.context
        row = self.model.codec.encode(item.context + item.text, item.special)
        given = len(self.model.codec.encode(context, item.special))
        given = max(0, min(given, len(row) - 1))
        most = self.model.max_length
        cut = 0 if most is None else min(given, max(0, len(row) - most))
        return row[cut:], given - cut, cut

    def _scored(self, item: Item) -> AnswerLine:
        """Return the likelihood of a text: the bound, or the chain rule's; a long one is cut into windows."""
        ids = self.model.codec.encode(item.text)
        most = self.model.max_length or max(len(ids), 1)
        value, calls = 0.0, 0
        for first in range(0, len(ids), most):
            window = ids[first : first + most]
            if is_causal(self.model):
                value += by_chain_rule(self.model, window, 0).value
                calls += 1
            else:
                value += self._bound(window, 0, item)
                calls += self.draws
        return AnswerLine(item.key, network_calls=calls, tokens=len(ids), log_likelihood=value)
