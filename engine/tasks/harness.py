"""The model that lm-evaluation-harness is given: its requests as items, its answers from a `Responder`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from engine.evaluation.plan import Sampling
from engine.metrics.continuation import DRAWS
from engine.models import TextModel, load_model
from engine.models.chat import ChatTemplate
from engine.records import SHARED_KNOBS, Settings
from engine.sampling.batch import usual_width
from engine.strategies import make_strategy, values
from engine.tasks.items import AnswerLine, Item, until_stop
from engine.tasks.responder import Responder

Answer = Callable[[Sequence[Item], Sequence[Instance]], Mapping[str, AnswerLine]]
"""items, each with the request for it -> their answers, by key"""
LOG = logging.getLogger(__name__)


class HarnessModel(LM):
    """A model under a sampler, as `--model remdm` of lm-evaluation-harness.

    Of a task's generation settings only the stop sequences are used: length, temperature and the rest are the
    sampler's.
    """

    def __init__(
        self,
        pretrained: str,
        strategy: str = "low-confidence",
        steps: int | None = None,
        length: int = 128,
        block_length: int | None = None,
        seed: int = 0,
        draws: int = DRAWS,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
        dtype: str = "auto",
        tokenizer: str | None = None,
        trust_remote_code: bool = False,
        **settings: Any,
    ) -> None:
        """Load the model.

        steps: of an answer of `length` tokens; None: one for each.  draws: maskings of a continuation whose likelihood
        is not exact.  settings: the sampler's, such as top_p and temperature, and the strategy's knobs.
        """
        shared = {info.name: settings.pop(info.name) for info in SHARED_KNOBS if info.name in settings}
        chosen = make_strategy(strategy, **settings)
        checked = Settings(chosen.name, values(chosen), **shared).checked()
        model = load_model(
            pretrained, device=device or "auto", dtype=dtype, tokenizer=tokenizer, trust_remote_code=trust_remote_code
        )
        sampling = Sampling(
            strategy=checked.strategy, knobs=dict(checked.knobs), steps=steps or length, length=length, seed=seed,
            count=1, block_length=block_length,
            **{info.name: getattr(checked, info.name) for info in SHARED_KNOBS},
        )  # fmt: skip
        width = int(str(batch_size)) if str(batch_size).isdecimal() else max_batch_size or usual_width(model)
        responder = Responder(model, sampling, width, draws, notice=LOG.warning)
        self._begin(model, lambda items, _: {line.key: line for line in responder.answers(items)})

    @classmethod
    def of(cls, model: TextModel, answer: Answer) -> HarnessModel:
        """Return the harness' view of a loaded model whose answers come from `answer`."""
        found = cls.__new__(cls)
        found._begin(model, answer)
        return found

    def _begin(self, model: TextModel, answer: Answer) -> None:
        super().__init__()
        self.model, self._answer = model, answer
        self._is_chat = False
        """whether contexts come from the chat template, the only place where special tokens are read out of a text"""

    # -- requests

    def generate_until(self, requests: list[Instance]) -> list[str]:
        items = self.items(requests)
        lines = self._lines(items, requests)
        return [until_stop(lines[item.key].text, stops(request)) for item, request in zip(items, requests, strict=True)]

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        items = self.items(requests)
        lines = self._lines(items, requests)
        return [(lines[item.key].log_likelihood, lines[item.key].is_greedy) for item in items]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        items = self.items(requests)
        lines = self._lines(items, requests)
        return [lines[item.key].log_likelihood for item in items]

    def items(self, requests: Sequence[Instance]) -> list[Item]:
        """Return an item for each request; equal ones are numbered by `repeat`."""
        repeats: dict[int, int] = {}
        found = []
        for request in requests:
            repeat = repeats[id(request)] = repeats.get(id(request), -1) + 1
            if request.request_type == "generate_until":
                until = stops(request)
                found.append(Item("generate", request.args[0], special=self._is_chat, repeat=repeat, until=until))
            elif request.request_type == "loglikelihood":
                # a likelihood is the same in every repeat
                context, text = request.args[:2]
                found.append(Item("continue", context, text, self._is_chat))
            else:
                found.append(Item("score", text=request.args[0]))
        return found

    def _lines(self, items: Sequence[Item], requests: Sequence[Instance]) -> Mapping[str, AnswerLine]:
        lines = self._answer(items, requests)
        for problem in dict.fromkeys(line.problem for line in lines.values() if line.problem):
            count = sum(line.problem == problem for line in lines.values())
            LOG.warning("%d of %d items have no answer: %s", count, len(lines), problem)
        return lines

    # -- chat

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        self._is_chat = True
        return self._template().render(chat_history, begin_answer=add_generation_prompt)

    def chat_template(self, chat_template: bool | str = False) -> str:
        return self._template().source if chat_template else ""

    @property
    def tokenizer_name(self) -> str:
        return self.model.name.replace("/", "__")

    def _template(self) -> ChatTemplate:
        template = self.model.loaded.chat
        if template is None:
            raise ValueError(f"{self.model.name} has no chat template: ask without one")
        return template


def stops(request: Instance) -> tuple[str, ...]:
    """Return the stop sequences of a request to generate."""
    found = request.args[1].get("until") or ()
    return (found,) if isinstance(found, str) else tuple(found)
