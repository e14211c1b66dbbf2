"""What `generate_until` of lm-evaluation-harness' model takes beyond sampling its answers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from engine.bench.child import OtherLoad
from engine.bench.options import Comparison, Options
from engine.models import TextModel
from engine.sampling.batch import Sample, samples
from engine.strategies import make_strategy
from engine.tasks.items import Item

MODEL, STRATEGY = "demo", "remdm-cap"
"""As it remasks, no answer ends before the last step: both sides take the same steps."""
QUESTION = "What happened on day {}? "
ANSWERS_TARGET = 1 / 1.05
"""The harness' side takes a twentieth more at most."""


def time_answers(options: Options) -> Iterator[Comparison]:
    """Yield seconds for answers by `generate_until`, against those for the same samples alone.

    Raises ModuleNotFoundError without lm-evaluation-harness.
    """
    from engine.tasks.loading import harness_version

    version = harness_version()
    from lm_eval.api.instance import Instance

    from engine.tasks.harness import HarnessModel

    steps, length, width = options.answers_steps, options.answers_length, options.answers_width
    harness = HarnessModel(
        MODEL, STRATEGY, steps=steps, length=length, seed=options.seed, batch_size=width, device="cpu"
    )  # fmt: skip
    model = harness.model
    questions = questions_of(model, options.answers_count)
    requests: Any = [Instance("generate_until", {}, (question, {"until": []}), 0) for question in questions]
    prompts = {Item("generate", question).number: model.codec.encode(question) for question in questions}
    given = len(next(iter(prompts.values())))

    def alone() -> list[Sample]:
        found = samples(
            model, make_strategy(STRATEGY), list(prompts), steps=steps, length=given + length, seed=options.seed,
            width=width, prompts=prompts,
        )  # fmt: skip
        return list(found)

    clock = time.process_time if options.processor else time.perf_counter
    load = OtherLoad()
    seconds: dict[str, list[float]] = {"alone": [], "ours": []}
    for _ in range(options.answers_repeats):  # side by side, so that other work on the machine falls on both
        began = clock()
        drawn = {sample.number: sample.tokens[given:].tolist() for sample in alone()}
        between = clock()
        answers = harness.generate_until(requests)
        seconds["alone"].append(between - began)
        seconds["ours"].append(clock() - between)
        if answers != [_text(model, drawn[number]) for number in prompts]:
            raise AssertionError("the harness' answers are not the samples")
    case = f"{len(questions)} answers of {length} tokens, T = {steps}, batch {width}"
    note = f"{MODEL}, {STRATEGY}; lm-eval {version}{', processor seconds' if options.processor else ''}"
    fastest = {name: min(found) for name, found in seconds.items()}
    yield Comparison("answers", case, "s", fastest["alone"], fastest["ours"], ANSWERS_TARGET, note, load.share())


def questions_of(model: TextModel, many: int) -> list[str]:
    """Return different questions of one number of tokens, so that they share the network."""
    found: dict[int, list[str]] = {}
    for day in count(1):
        question = QUESTION.format(day)
        alike = found.setdefault(len(model.codec.encode(question)), [])
        alike.append(question)
        if len(alike) == many:
            return alike
    raise AssertionError("there is always another day")


def _text(model: TextModel, ids: Sequence[int]) -> str:
    """Return what an answer says, up to the first token that ends a text."""
    end = next((at for at, token in enumerate(ids) if token in model.ends), len(ids))
    return model.codec.decode(list(ids[:end]))
