"""How fast a judge scores texts against the loop that one would write with transformers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from engine.bench.child import OtherLoad
from engine.bench.options import Comparison, NetworkShape, Options
from engine.data.special_tokens import END_OF_TEXT
from engine.metrics.judge import LanguageModel
from engine.metrics.judges import SHORT, load_judge
from engine.models.hub import cached

PLAIN_BATCHES = (1, 8)
"""Texts that the plain loop puts through the network at a time."""
TOLERANCE = 1e-3
"""How far apart the two sides' nats may be, relatively, before they are not the same work."""


def judge_for(options: Options) -> LanguageModel:
    """Return the requested judge, or a random GPT-2 if none is requested or it is not on this machine.

    A benchmark downloads nothing.
    """
    if not options.judge:
        return stand_in(options.judge_shape)
    try:
        if not Path(options.judge).exists():
            cached(SHORT.get(options.judge, options.judge))
        found = load_judge(options.judge)
    except ValueError:
        return stand_in(options.judge_shape, f", as {options.judge} is not on this machine")
    if not isinstance(found, LanguageModel):
        raise ValueError(f"{options.judge} is not a transformers model, with whose plain loop it would be compared")
    return found


def stand_in(shape: NetworkShape, reason: str = "") -> LanguageModel:
    """Return a GPT-2 of random weights whose tokens are the numbers from 1 to below its vocabulary's size."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    vocabulary = {END_OF_TEXT: 0} | {str(i): i for i in range(1, shape.vocab)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token=END_OF_TEXT))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=shape.vocab, n_positions=shape.length, n_embd=shape.width, n_layer=shape.blocks, n_head=shape.heads,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    make: Any = PreTrainedTokenizerFast
    tokenizer = make(tokenizer_object=words, **dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT))
    name = f"random GPT-2, {shape.blocks} blocks of {shape.width}, V = {shape.vocab:,}{reason}"
    return LanguageModel(name, GPT2LMHeadModel(config), tokenizer)


def texts_for(judge: LanguageModel, options: Options) -> list[str]:
    """Return numbers, as many to a text as the judge reads tokens at most, down to a sixteenth of that, in no order."""
    numbers = np.random.default_rng(options.seed)
    longest = min(judge.context, options.judge_shape.length)
    lengths = numbers.permutation(np.linspace(max(2, longest // 16), longest, options.judge_texts).astype(int))
    return [" ".join(map(str, numbers.integers(1, min(judge.vocab_size, 1000), n))) for n in lengths]


def measure_scoring(
    judge: LanguageModel, texts: Sequence[str], repeats: int = 3, clock: Callable[[], float] = time.perf_counter
) -> Iterator[Comparison]:
    """Yield seconds for the texts, ours against the plain loop at each of its batch sizes; the fastest of some repeats.

    Both are given tokens, and both sides' work is checked to be the same.
    """
    rows = [row[: judge.context] for row in judge.tokens(texts) if len(row) > 1]
    tokens = sum(map(len, rows))
    for batch in PLAIN_BATCHES:
        load = OtherLoad()
        ours, plain = [], []
        for _ in range(repeats):  # side by side, so that other work on the machine falls on both
            seconds, expected = _timed(lambda: sum(float(found.sum()) for found in judge.nll(rows)), clock)
            ours.append(seconds)
            seconds, found = _timed(lambda size=batch: plain_nats(judge, rows, size), clock)  # type: ignore[misc]
            plain.append(seconds)
            if abs(found - expected) > TOLERANCE * abs(expected):
                raise AssertionError(f"the plain loop finds {found} nats, the judge {expected}")
        counted = "" if clock is time.perf_counter else ", processor seconds"
        note = f"{len(rows)} texts, {tokens:,} tokens{counted}"
        case = f"{judge.name}, plain batches of {batch}"
        yield Comparison("judge", case, "s", min(plain), min(ours), 1.0, note, load.share())


@torch.inference_mode()
def plain_nats(judge: LanguageModel, rows: Sequence[Sequence[int]], batch: int) -> float:
    """Return all tokens' nats by padded batches in the given order and logits at every place."""
    total, device = 0.0, judge.model.device
    for first in range(0, len(rows), batch):
        some = rows[first : first + batch]
        longest = max(map(len, some))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in some], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in some], device=device)
        logits = judge.model(input_ids=ids, attention_mask=mask).logits
        losses = F.cross_entropy(logits[:, :-1].transpose(1, 2).float(), ids[:, 1:], reduction="none")
        total += float((losses * mask[:, 1:]).sum())
    return total


def _timed(work: Callable[[], float], clock: Callable[[], float]) -> tuple[float, float]:
    """Return (seconds, what came of it)."""
    start = clock()
    found = work()
    return clock() - start, found
