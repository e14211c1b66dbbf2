"""Causal language models of the transformers library, from left to right with what was computed kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import engine
from engine.models import TextModel, load_model, pretrained
from engine.models.causal import CausalLM
from engine.sampling.session import Session
from engine.strategies import REGISTRY, View, make_strategy
from tests.engine import library
from tests.engine.toys import MASK, Toy

LEFT = make_strategy("left-to-right")
SMALL = {**library.SMALL, "vocab_size": 300}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 24, "vocab_size": 300}
LLAMA = {**SMALL, "num_key_value_heads": 2}
ENDS = {"bos_token_id": 0, "eos_token_id": 0}


class Kind(NamedTuple):
    """A kind of model: the library's class and settings, and what of it can be taken apart."""

    name: str
    config: dict[str, Any]
    separable: bool = True
    cached: bool = True


KINDS = {
    "gpt2": Kind("GPT2LMHeadModel", {**GPT2, **ENDS}),
    "llama": Kind("LlamaForCausalLM", {**LLAMA, **ENDS}),
    "mistral": Kind("MistralForCausalLM", {**LLAMA, **ENDS, "sliding_window": 4}),
    "gemma2": Kind("Gemma2ForCausalLM", {**LLAMA, **ENDS, "head_dim": 8, "sliding_window": 4}, separable=False),
    "mamba": Kind("MambaForCausalLM", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4, "vocab_size": 300,
                                       **ENDS}, cached=False),
}  # fmt: skip


class Made(NamedTuple):
    home: Path
    plain: Any
    """the library's own model, which nothing here has touched"""
    kind: Kind


def make(kind: Kind, home: Path, names: tuple[str, ...] = ("<|endoftext|>",), **entries: Any) -> Made:
    plain = library.made(kind.name, **kind.config)
    library.write_file(library.byte_level(list(names)), library.saved(plain, home), **entries)
    return Made(home, plain, kind)


@pytest.fixture(scope="module", params=KINDS)
def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    home = tmp_path_factory.mktemp(request.param)
    return make(KINDS[request.param], home, eos_token="<|endoftext|>")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(KINDS["gpt2"], tmp_path_factory.mktemp("gpt2"), bos_token="<|endoftext|>")


@pytest.fixture
def model(gpt2: Made) -> TextModel:
    return load_model(str(gpt2.home), "cpu")


def random_text(rows: int, length: int, seed: int = 3) -> Tensor:
    return torch.randint(1, 300, (rows, length), generator=torch.Generator().manual_seed(seed))


def by_hand(plain: Any, tokens: Tensor, position: int, start: tuple[int, ...] = (0,)) -> Tensor:
    """Logits [B, V] of the library's model for the token at a position, from the start and what stands to its left."""
    before = torch.tensor(start, dtype=torch.long).expand(len(tokens), -1)
    return plain(input_ids=torch.cat((before, tokens[:, :position]), 1), use_cache=False).logits[:, -1]


def row(tokens: Tensor, position: int) -> Tensor:
    where = torch.zeros_like(tokens, dtype=torch.bool)
    where[:, position] = True
    return where


def test_logits_are_those_of_the_library_whatever_is_kept(each: Made) -> None:
    model = load_model(str(each.home), "cpu")
    text = random_text(2, 12)
    t = torch.zeros(2)
    whole = model.project(model.encode(text, t).flatten(0, 1)).view(2, 12, -1)
    for position in (0, 1, 2, 7, 8, 11, 3):
        canvas = text.clone()
        canvas[:, position:] = model.mask_id
        got = model.project(model.encode_rows(canvas, t, row(canvas, position)))
        expected = by_hand(each.plain, text, position)
        assert expected.std() > 0.1
        torch.testing.assert_close(got[:, :-1], expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(whole[:, position, :-1], expected, atol=1e-4, rtol=1e-4)
        assert (got[:, -1] == -torch.inf).all()


def test_a_loaded_model_says_what_it_is(each: Made) -> None:
    model = load_model(str(each.home), "cpu")
    info = model.info
    assert (info.kind, info.causal) == (each.kind.name, True)
    assert (info.vocab_size, info.mask_id) == (301, 300)
    assert len(info.pieces) == 301
    assert info.parameters == each.plain.num_parameters()
    assert (model.network.separable, model.network.cached) == (each.kind.separable, each.kind.cached)
    notes = " ".join(info.notes)
    assert "<|endoftext|> comes before the text" in notes
    assert ("cannot be separated" in notes) is not each.kind.separable
    assert ("cannot be taken back" in notes) is not each.kind.cached


def test_a_greedy_sample_is_the_one_written_out(each: Made) -> None:
    model = load_model(str(each.home), "cpu")
    prompt = [5, 6]
    text = torch.tensor([prompt])
    for position in range(2, 10):
        text = torch.cat((text, by_hand(each.plain, text, position).argmax(-1, keepdim=True)), 1)
    got = engine.sample(model, LEFT, steps=8, length=10, prompt=prompt, temperature=0.0)
    assert torch.equal(got, text)


@pytest.mark.parametrize("length", [23, 24])
def test_the_longest_canvas_is_the_longest_that_the_positions_allow(gpt2: Made, length: int) -> None:
    model = load_model(str(gpt2.home), "cpu")
    assert model.max_length == 24
    text = random_text(1, length)
    got = model.project(model.encode_rows(text, torch.zeros(1), row(text, length - 1)))
    torch.testing.assert_close(got[:, :-1], by_hand(gpt2.plain, text, length - 1), atol=1e-4, rtol=1e-4)


class Watched:
    """What the network is given, as its embedding sees it."""

    def __init__(self, network: CausalLM) -> None:
        self.given: list[Tensor] = []
        network._model.get_input_embeddings().register_forward_hook(lambda _, args, out: self.given.append(args[0]))


def test_only_what_is_new_reaches_the_network(model: TextModel) -> None:
    watched = Watched(model.network)
    text = random_text(3, 12)
    session_like = text.clone()
    for position in range(4, 9):
        canvas = session_like.clone()
        canvas[:, position:] = model.mask_id
        model.encode_rows(canvas, torch.zeros(3), row(canvas, position))
    assert [tuple(given.shape) for given in watched.given] == [(3, 5), *[(3, 1)] * 4]
    assert torch.equal(watched.given[0][:, 1:], text[:, :4])
    assert all(torch.equal(given[:, 0], text[:, 4 + i]) for i, given in enumerate(watched.given[1:]))


def test_nothing_right_of_what_is_requested_reaches_the_network(model: TextModel) -> None:
    watched = Watched(model.network)
    text = random_text(1, 12)
    text[0, 5:] = 299
    model.encode_rows(text, torch.zeros(1), row(text, 5))
    assert not (torch.cat(watched.given, 1) == 299).any()


CALL = st.fixed_dictionaries(
    {"rows": st.integers(1, 3), "texts": st.integers(0, 2), "changed": st.integers(0, 11), "at": st.integers(0, 11),
     "ragged": st.booleans()}
)  # fmt: skip


@settings(max_examples=40)
@given(calls=st.lists(CALL, min_size=2, max_size=8))
def test_keeping_changes_nothing_whatever_is_sent_in_whatever_order(calls: list[dict[str, Any]]) -> None:
    """Rewinds, other prompts, a token changed in one row, more rows or fewer, rows that stand at different places."""
    plain = plain_gpt2()
    kept, recomputed = CausalLM(plain, 0), CausalLM(plain, 0)
    for call in calls:
        tokens = random_text(3, 12, call["texts"])[: call["rows"]]
        tokens[-1, call["changed"]] = 7
        where = row(tokens, call["at"])
        if call["ragged"]:
            where[-1] = False
            where[-1, call["changed"]] = True
        got = kept.encode_rows(tokens, torch.zeros(len(tokens)), where)
        expected = recomputed.encode(tokens, torch.zeros(len(tokens)))[where]
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


def plain_gpt2(made: list[Any] = []) -> Any:  # noqa: B006  (made once)
    if not made:
        made.append(library.made("GPT2LMHeadModel", **GPT2))
    return made[0]


def test_a_failed_pass_leaves_nothing_half_kept(model: TextModel, gpt2: Made) -> None:
    text = random_text(2, 10)
    model.encode_rows(text, torch.zeros(2), row(text, 4))
    last = model.network._model.transformer.h[1]
    hook = last.register_forward_pre_hook(lambda *args: (_ for _ in ()).throw(RuntimeError("out of memory")))
    with pytest.raises(RuntimeError, match="out of memory"):
        model.encode_rows(text, torch.zeros(2), row(text, 7))
    hook.remove()
    got = model.project(model.encode_rows(text, torch.zeros(2), row(text, 8)))
    torch.testing.assert_close(got[:, :-1], by_hand(gpt2.plain, text, 8), atol=1e-4, rtol=1e-4)


def test_what_is_right_of_a_mask_is_not_answered(model: TextModel) -> None:
    tokens = random_text(1, 6)
    tokens[0, 2] = model.mask_id
    hidden = model.encode(tokens, torch.zeros(1))[0]
    assert torch.isfinite(hidden[:3]).all()
    assert torch.isnan(hidden[3:]).all()
    with pytest.raises(ValueError, match="position 3 is masked and cannot be predicted from the left"):
        model.encode_rows(tokens, torch.zeros(1), row(tokens, 3))


def test_asking_nothing_gives_nothing(model: TextModel) -> None:
    tokens = random_text(2, 6)
    hidden = model.encode_rows(tokens, torch.zeros(2), torch.zeros_like(tokens, dtype=torch.bool))
    assert model.project(hidden).shape == (0, model.vocab_size)


def test_a_rewound_run_repeats_itself_and_a_branch_is_what_it_would_have_been(model: TextModel) -> None:
    session = Session(model, LEFT, steps=12, length=12, batch=2, seed=5, temperature=1.0)
    first = [frame.tokens for frame in session]
    session.rewind(4)
    assert all((a == frame.tokens).all() for a, frame in zip(first[4:], session, strict=True))
    session.rewind(6)
    session.set(top_p=0.3)
    branch = [frame.tokens for frame in session]
    fresh = Session(model, LEFT, steps=12, length=12, batch=2, seed=5, temperature=1.0)
    list(islice(fresh, 6))
    fresh.set(top_p=0.3)
    assert all((a == frame.tokens).all() for a, frame in zip(branch, fresh, strict=True))


def test_a_sample_is_the_same_whatever_the_batch(model: TextModel) -> None:
    shape: dict[str, Any] = {"steps": 10, "length": 10, "seed": 2}
    alone = [Session(model, LEFT, first=number, **shape) for number in range(5)]
    expected = torch.cat([torch.tensor(list(session)[-1].tokens) for session in alone])
    for width in (1, 2, 5):
        assert torch.equal(engine.sample(model, LEFT, count=5, width=width, **shape), expected.long())


@pytest.mark.parametrize("name", [name for name, kind in REGISTRY.items() if not kind.from_the_left])
def test_every_other_strategy_is_refused(model: TextModel, name: str) -> None:
    for run in (Session, engine.sample):
        with pytest.raises(ValueError, match="predicts from the left alone: choose --strategy left-to-right"):
            run(model, make_strategy(name), steps=12, length=12)


def test_fewer_steps_than_positions_are_refused(model: TextModel) -> None:
    for run in (Session, engine.sample):
        with pytest.raises(ValueError, match="needs a step for each of its 10 positions: --steps 10 or more"):
            run(model, LEFT, steps=9, length=12, prompt=[3, 4])


@pytest.mark.parametrize(("block", "least"), [(4, 11), (5, 10), (3, 11), (10, 10)])
def test_blocks_need_a_step_for_each_of_their_own_positions(model: TextModel, block: int, least: int) -> None:
    shape: dict[str, Any] = {"length": 10, "block_length": block, "temperature": 0.0}
    with pytest.raises(ValueError, match=f"needs a step for each of its 10 positions: --steps {least} or more"):
        engine.sample(model, LEFT, steps=least - 1, **shape)
    whole = engine.sample(model, LEFT, steps=10, length=10, temperature=0.0)
    assert torch.equal(engine.sample(model, LEFT, steps=least, **shape), whole)


def test_another_strategy_is_refused_on_the_way_and_changes_nothing(model: TextModel) -> None:
    session = Session(model, LEFT, steps=8, length=8)
    list(islice(session, 3))
    with pytest.raises(ValueError, match="predicts from the left alone"):
        session.set(strategy=make_strategy("mdlm"))
    assert session.config.strategy == LEFT
    assert not (list(session)[-1].tokens == model.mask_id).any()


def test_more_steps_than_positions_reveal_one_or_none_each(model: TextModel) -> None:
    frames = list(Session(model, LEFT, steps=30, length=8))
    revealed = [int((frame.change == 2).sum()) for frame in frames]
    assert set(revealed) == {0, 1}
    assert sum(revealed) == 8


def test_without_a_token_to_begin_with_a_prompt_is_needed(tmp_path: Path) -> None:
    made = make(KINDS["gpt2"]._replace(config={**GPT2, "bos_token_id": None, "eos_token_id": None}), tmp_path)
    model = load_model(str(tmp_path), "cpu")
    assert "so a prompt is needed" in " ".join(model.info.notes)
    with pytest.raises(ValueError, match="no token to begin a text with: give it a prompt"):
        engine.sample(model, LEFT, steps=8, length=8)
    text = random_text(2, 8)
    hidden = model.encode(text, torch.zeros(2))
    assert torch.isnan(hidden[:, 0]).all()
    for position in (1, 4, 7):
        expected = by_hand(made.plain, text, position, start=())
        got = model.project(model.encode_rows(text, torch.zeros(2), row(text, position)))
        torch.testing.assert_close(got[:, :-1], expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model.project(hidden[:, position])[:, :-1], expected, atol=1e-4, rtol=1e-4)
    assert engine.sample(model, LEFT, steps=7, length=8, prompt=[4]).shape == (1, 8)


def test_the_token_that_a_tokenizer_puts_first_is_put_first(tmp_path: Path) -> None:
    plain = library.made("LlamaForCausalLM", **{**LLAMA, "bos_token_id": 2, "eos_token_id": 2})
    library.write_file(library.byte_fallback(), library.saved(plain, tmp_path), bos_token="<s>", eos_token="</s>")
    model = load_model(str(tmp_path), "cpu")
    assert "<s> comes before the text" in " ".join(model.info.notes)
    text = random_text(1, 5)
    got = model.project(model.encode_rows(text, torch.zeros(1), row(text, 3)))
    torch.testing.assert_close(got[:, :-1], by_hand(plain, text, 3, start=(1,)), atol=1e-4, rtol=1e-4)


TEMPLATE = "{% for turn in messages %}<s>{{ turn.role }}: {{ turn.content }}\n{% endfor %}"
TEMPLATE += "{% if add_generation_prompt %}<s>you:{% endif %}"


def test_a_chat_template_wraps_the_prompt_and_its_start_is_there_once(tmp_path: Path) -> None:
    make(KINDS["gpt2"], tmp_path, ("<s>",), bos_token="<s>", chat_template=TEMPLATE)
    model = load_model(str(tmp_path), "cpu")
    assert model.codec.decode(model.prompt("hello", chat=True)) == "user: hello\n<s>you:"
    assert model.prompt("hello", chat=True).count(0) == 1
    assert model.prompt("hello") == model.codec.encode("hello")


def test_a_chat_template_that_cannot_be_rendered_is_one_sentence(tmp_path: Path) -> None:
    make(KINDS["gpt2"], tmp_path, ("<s>",), bos_token="<s>", chat_template="{{ messages[0].no.such() }}")
    model = load_model(str(tmp_path), "cpu")
    with pytest.raises(ValueError, match=r"the chat template of .* cannot be rendered: "):
        model.prompt("hello", chat=True)


def test_a_network_that_looks_to_the_right_is_no_causal_model(tmp_path: Path) -> None:
    make(Kind("BertLMHeadModel", {**SMALL, "is_decoder": False}), tmp_path, bos_token="<|endoftext|>")
    with pytest.raises(ValueError, match="BertLMHeadModel looks to the right of what it predicts"):
        load_model(str(tmp_path), "cpu")


def test_a_mask_has_no_place_in_a_causal_model(gpt2: Made) -> None:
    with pytest.raises(ValueError, match="has no mask: leave out --mask-id"):
        load_model(str(gpt2.home), "cpu", mask_id=3)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    made = make(KINDS["gpt2"], tmp_path)
    state = made.plain.state_dict()
    (tmp_path / "model.safetensors").unlink()
    torch.save({k: v for k, v in state.items() if k != "transformer.h.1.ln_2.weight"}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"transformer.h.1.ln_2.weight is missing"):
        load_model(str(tmp_path), "cpu")


def test_files_of_older_libraries_are_read(tmp_path: Path) -> None:
    """GPT-2's first files have no prefix, and hold the causal mask of every layer."""
    made = make(KINDS["gpt2"], tmp_path, bos_token="<|endoftext|>")
    state = {k.removeprefix("transformer."): v for k, v in made.plain.state_dict().items() if k != "lm_head.weight"}
    state |= {f"h.{i}.attn.bias": torch.ones(1, 1, 24, 24).tril() for i in range(2)}
    (tmp_path / "model.safetensors").unlink()
    torch.save(state, tmp_path / "pytorch_model.bin")
    model = load_model(str(tmp_path), "cpu")
    text = random_text(1, 6)
    got = model.project(model.encode_rows(text, torch.zeros(1), row(text, 5)))
    torch.testing.assert_close(got[:, :-1], by_hand(made.plain, text, 5), atol=1e-4, rtol=1e-4)


def test_a_gguf_file_says_which_packages_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "find_spec", lambda package: None)
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    for name in (tmp_path, tmp_path / "a.gguf"):
        with pytest.raises(ValueError, match="which needs more packages: pip install gguf accelerate"):
            load_model(str(name), "cpu")
    (tmp_path / "b.gguf").write_bytes(b"GGUF")
    with pytest.raises(ValueError, match=r"holds 2 GGUF files: give one of them, such as .*a\.gguf"):
        load_model(str(tmp_path), "cpu")


@pytest.mark.parametrize(
    ("entries", "head"),
    [
        ({"architectures": ["BertForMaskedLM"], "model_type": "bert"}, "MaskedLM"),
        ({"architectures": ["BertLMHeadModel"], "model_type": "bert"}, "CausalLM"),
        ({"architectures": ["AntiBERTy"], "model_type": "bert"}, "MaskedLM"),
        ({"model_type": "bert"}, "MaskedLM"),
        ({"model_type": "gpt2"}, "CausalLM"),
        ({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}, "CausalLM"),
        ({"architectures": ["MDLM"], "model_type": "mdlm"}, None),
        ({"architectures": 3, "model_type": ["bert"]}, None),
        ({}, None),
    ],
    ids=json.dumps,
)
def test_a_configuration_says_which_kind_of_model_it_is(entries: dict[str, object], head: str | None) -> None:
    from engine.models.readers.masked_lm import head_named

    assert head_named(entries) == head


def view(masked: list[int], t: float, s: float) -> View:
    mask = torch.tensor([masked], dtype=torch.bool)
    at, to = (torch.tensor([[x]], dtype=torch.float64) for x in (t, s))
    return View(at, to, 1 - at, 1 - to, mask, ~mask, torch.ones(mask.shape, dtype=torch.float64))


def test_left_to_right_reveals_the_leftmost_masks() -> None:
    plan = LEFT.plan(view([0, 1, 0, 1, 1, 1], 0.8, 0.4))
    assert plan.unmask.tolist() == [[0, 1, 0, 1, 0, 0]]
    assert not plan.remask.any()


@pytest.mark.parametrize(("length", "steps"), [(8, 4), (12, 12), (24, 6), (37, 37)])
def test_left_to_right_reveals_an_equal_share_at_each_step(length: int, steps: int) -> None:
    share = length // steps
    for step, frame in enumerate(Session(Toy(), LEFT, steps=steps, length=length, batch=3)):
        left = torch.arange(length) < share * (step + 1)
        assert torch.equal(torch.from_numpy(frame.tokens) != MASK, left.expand(3, -1))


@given(length=st.integers(1, 120), over=st.integers(0, 200))
def test_with_a_step_for_each_position_no_two_are_revealed_at_once(length: int, over: int) -> None:
    steps, masked = length + over, length
    for step in range(steps):
        seen = view([0] * (length - masked) + [1] * masked, 1 - step / steps, 1 - (step + 1) / steps)
        revealed = int(LEFT.plan(seen).unmask.sum())
        assert revealed <= 1
        masked -= revealed
    assert masked == 0


def test_a_strategy_of_ones_own_may_say_that_it_goes_from_the_left(model: TextModel) -> None:
    chosen: Callable[..., Any] = type("Mine", (type(LEFT),), {"name": "mine"})
    assert engine.sample(model, chosen(), steps=6, length=6).shape == (1, 6)
