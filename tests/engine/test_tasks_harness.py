"""lm-evaluation-harness with our model: its own code, local tasks, and results as a plain loop finds them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.evaluation.plan import Sampling
from engine.metrics.continuation import by_rule
from engine.metrics.rule_likelihood import DecodingRule
from engine.models import TextModel, load_model
from engine.records import SHARED_KNOBS
from engine.sampling.session import Session
from engine.strategies import make_strategy
from engine.tasks.items import AnswerLine, Item, until_stop
from engine.tasks.responder import SEAM, Responder
from tests.engine import task_files

lm_eval = pytest.importorskip("lm_eval", reason="the extra tasks is not installed")

STEPS, LENGTH, SEED = 6, 12, 5


@pytest.fixture(scope="module")
def model() -> TextModel:
    return load_model("demo", device="cpu")


def sampling(strategy: str = "remdm-cap", **changes: Any) -> Sampling:
    shared: dict[str, Any] = {info.name: info.default for info in SHARED_KNOBS}
    fields = {"strategy": strategy, "knobs": {}, "steps": STEPS, "length": LENGTH, "seed": SEED, "count": 1}
    return Sampling(**fields | shared | changes)


def evaluate(paths: list[Path], **options: Any) -> dict[str, Any]:
    """What the harness finds with a model by its name."""
    from lm_eval.api.registry import model_registry
    from lm_eval.tasks import TaskManager

    if "remdm" not in model_registry:
        model_registry.register("remdm", target="engine.tasks.harness:HarnessModel")
    arguments = {
        "pretrained": "demo", "strategy": "remdm-cap", "steps": STEPS, "length": LENGTH, "seed": SEED, "device": "cpu",
        **options.pop("model_args", {}),
    }  # fmt: skip
    return lm_eval.simple_evaluate(
        "remdm", model_args=arguments, tasks=[str(path) for path in paths], bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False), **options,
    )  # fmt: skip


def answers(found: dict[str, Any], task: str) -> list[str]:
    return [sample["resps"][0][0] for sample in found["samples"][task]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return evaluate([task_files.vowels(tmp_path_factory.mktemp("tasks"))], batch_size=3)


def test_ten_items_are_those_of_a_plain_loop(model: TextModel, found: dict[str, Any]) -> None:
    texts, right = [], []
    for i in range(10):
        prompt = model.codec.encode(task_files.OPENINGS[i])
        session = Session(
            model, make_strategy("remdm-cap"), steps=STEPS, length=len(prompt) + LENGTH, seed=SEED, prompt=prompt,
            first=Item("generate", task_files.OPENINGS[i], until=("\n\n", ".")).number,
        )  # fmt: skip
        tokens = list(session)[-1].tokens[0, len(prompt) :].tolist()
        end = next((at for at, token in enumerate(tokens) if token in model.ends), len(tokens))
        text = re.split(r"\n\n|\.", model.codec.decode(tokens[:end]))[0]
        vowel = re.search(task_files.VOWEL, text)
        texts.append(text)
        right.append(vowel is not None and vowel[1] == "aei"[i % 3])
    assert answers(found, "vowels") == texts
    assert found["results"]["vowels"]["exact_match,first"] == sum(right) / 10
    assert 0 < sum(right) < 10


def test_batch_order_limit_and_other_tasks_change_nothing(found: dict[str, Any], tmp_path: Path) -> None:
    expected = answers(found, "vowels")
    for batch in (1, 8):
        assert answers(evaluate([task_files.vowels(tmp_path / str(batch))], batch_size=batch), "vowels") == expected
    other = task_files.vowels(tmp_path / "other", "other", count=3, doc_to_text="{{question}} and")
    both = evaluate([other, task_files.vowels(tmp_path / "limit")], batch_size=8, limit=4)
    assert answers(both, "vowels") == expected[:4]


def test_repeats_of_an_item_differ_and_other_seeds_do(found: dict[str, Any], tmp_path: Path) -> None:
    again = evaluate([task_files.vowels(tmp_path / "again", repeats=2)], limit=3)
    pairs = [sample["resps"][0] for sample in again["samples"]["vowels"]]
    assert [first for first, _ in pairs] == answers(found, "vowels")[:3]
    assert all(first != second for first, second in pairs)
    seeded = evaluate([task_files.vowels(tmp_path / "seed")], limit=3, model_args={"seed": 6})
    assert answers(seeded, "vowels") != answers(found, "vowels")[:3]


@pytest.mark.parametrize("strategy", ["low-confidence", "mdlm"])
def test_choices_are_compared_by_their_likelihood(strategy: str, model: TextModel, tmp_path: Path) -> None:
    options = {"strategy": strategy, "steps": LENGTH, "draws": 16}
    result = evaluate([task_files.choices(tmp_path)], model_args=options, batch_size=4)
    assert result["results"]["choices"]["acc,none"] == 1
    value = result["samples"]["choices"][0]["filtered_resps"][0][0]
    row = model.codec.encode("The old man went home")
    given = len(model.codec.encode("The old man"))
    exact = by_rule(model, DecodingRule(make_strategy("low-confidence")), [row], given)[0]
    assert value == pytest.approx(exact.value, rel=1e-5 if strategy == "low-confidence" else 0.5)


def test_texts_are_scored_in_windows_of_the_models_length(tmp_path: Path) -> None:
    result = evaluate([task_files.texts(tmp_path)], model_args={"draws": 8})["results"]["texts"]
    assert 1 < result["bits_per_byte,none"] < 4


def test_the_chat_template_is_asked_for_in_vain(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="demo has no chat template"):
        evaluate([task_files.vowels(tmp_path)], apply_chat_template=True)


def test_shots_system_prompt_and_turns_reach_the_prompt(model: TextModel, tmp_path: Path) -> None:
    from lm_eval.tasks import TaskManager

    from engine.models.chat import ChatTemplate
    from engine.tasks.harness import HarnessModel

    template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[answer]"
    received: list[Item] = []

    def answer(items: Any, requests: Any) -> dict[str, AnswerLine]:
        received.extend(items)
        return {item.key: AnswerLine(item.key, "e. and more") for item in items}

    chatty = TextModel("toy", model.loaded)
    object.__setattr__(
        chatty, "loaded", chatty.loaded.__class__(**{**vars(model.loaded), "chat": ChatTemplate(template, {}, "toy")})
    )
    path = task_files.vowels(tmp_path, fewshot_split="test", num_fewshot=1)
    result = lm_eval.simple_evaluate(
        HarnessModel.of(chatty, answer), tasks=[str(path)], limit=2, bootstrap_iters=0, apply_chat_template=True,
        fewshot_as_multiturn=True, system_instruction="Be brief.", task_manager=TaskManager(include_defaults=False),
    )  # fmt: skip
    assert len(received) == 2
    for item in received:
        assert item.special
        assert re.fullmatch(r"\[system\]Be brief\.\[user\].+\[assistant\]\s?[aei]\[user\].+\[answer\]", item.context)
    assert answers(result, "vowels") == ["e", "e"]


def test_a_prompt_that_does_not_fit_is_named_and_counted(model: TextModel) -> None:
    most = model.max_length
    assert most is not None
    responder = Responder(model, sampling(), 2, draws=4)
    long, short = Item("generate", "a " * most), Item("generate", "It was")
    lines = {line.key: line for line in responder.answers([long, short])}
    assert "longer than the model's canvas" in lines[long.key].problem
    assert lines[short.key].text
    likely = Item("continue", "a " * most, " man")
    (line,) = responder.answers([likely])
    assert line.cut > 0
    assert line.log_likelihood < 0


def test_the_steps_at_which_an_answer_was_right_are_those_of_its_session(model: TextModel) -> None:
    def judge(item: Item, text: str) -> bool:
        return re.search(r"[aeiou]", text) is not None and re.search(r"[aeiou]", text)[0] == "e"  # type: ignore[index]

    items = [Item("generate", opening) for opening in task_files.OPENINGS[:6]]
    responder = Responder(model, sampling("remdm-cap", knobs={"eta": 0.3}), 3, judge=judge)
    lines = {line.key: line for line in responder.answers(items)}
    for item in items:
        line, prompt = lines[item.key], model.codec.encode(item.context)
        session = Session(
            model, make_strategy("remdm-cap", eta=0.3), steps=STEPS, length=len(prompt) + LENGTH, seed=SEED,
            prompt=prompt, first=item.number,
        )  # fmt: skip
        found = [judge(item, responder.text(frame.tokens[0, len(prompt) :].tolist())) for frame in session]
        assert line.right is not None
        assert line.steps == len(found)
        assert [any(a <= i < b for a, b in line.right) for i in range(len(found))] == found
        assert line.network_calls > 0
        assert math.isfinite(line.entropy)
    plain = {line.key: line for line in Responder(model, responder.sampling, 1).answers(items)}
    assert {key: line.ids for key, line in plain.items()} == {key: line.ids for key, line in lines.items()}


@pytest.mark.parametrize(("strategy", "block_length"), [("low-confidence", None), ("remdm-cap", 4)])
def test_an_answer_ends_where_nothing_that_follows_can_change_it(
    strategy: str, block_length: int | None, model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [Item("generate", opening, until=("e", ",")) for opening in task_files.OPENINGS[:6]]
    plan = sampling(strategy, block_length=block_length)
    some = {line.key: line for line in Responder(model, plan, 4, judge=lambda item, text: "a" in text).answers(items)}
    monkeypatch.setattr(Responder, "_is_known", lambda self, item, ids: False)
    whole = {line.key: line for line in Responder(model, plan, 3).answers(items)}
    for item in items:
        line, expected = some[item.key], whole[item.key]
        assert until_stop(line.text, item.until) == until_stop(expected.text, item.until)
        assert line.ids == expected.ids[: len(line.ids)]
        assert line.network_calls <= expected.network_calls
        assert line.right is not None
        assert bool(line.right and line.right[-1][1] == line.steps) == ("a" in line.text)
    assert sum(line.network_calls for line in some.values()) < sum(line.network_calls for line in whole.values())


def test_a_stop_sequence_that_the_next_tokens_may_undo_does_not_end_an_answer(model: TextModel) -> None:
    responder = Responder(model, sampling(), 1)
    item, ids = Item("generate", "It", until=(",",)), model.codec.encode("was, and so it went on")
    ends = [responder._is_known(item, ids[:length]) for length in range(len(ids))]
    comma = next(length for length in range(len(ids)) if "," in model.codec.decode(ids[:length]))
    assert ends.index(True) == comma + SEAM
    assert not responder._is_known(Item("generate", "It"), ids)
    assert responder._is_known(Item("generate", "It"), [*ids[:2], model.ends[0]])


def test_a_text_ends_before_the_first_stop_sequence() -> None:
    assert until_stop("one. two\n", ["\n", ".", ""]) == "one"
    assert until_stop("one", ["never"]) == "one"


def test_the_harness_own_command_knows_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    import lm_eval.__main__ as command
    from lm_eval.api.registry import get_model

    from engine.tasks.__main__ import main
    from engine.tasks.harness import HarnessModel

    found: list[Any] = []
    monkeypatch.setattr(command, "cli_evaluate", lambda: found.append(get_model("remdm")))
    main()
    assert found == [HarnessModel]


def test_the_seed_of_an_item_is_its_content() -> None:
    items = [Item("generate", "a"), Item("generate", "b"), Item("generate", "a", repeat=1), Item("continue", "a")]
    assert len({item.key for item in items}) == 4
    assert all(0 <= item.number < 1 << 63 for item in items)
    assert torch.tensor([item.number for item in items]).dtype == torch.int64
