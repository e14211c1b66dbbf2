"""Masks in a prompt: how they are read, and samplers that fill them between tokens that stay."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

import engine
from engine.debug.claims import claims_of
from engine.debug.laws import LawState, check_laws
from engine.evaluation import drawing
from engine.evaluation.plan import Sampling
from engine.models import TextModel
from engine.models.loading import Loaded
from engine.models.text import Codec
from engine.records import Change, Edit, RunChoice, Settings
from engine.sampling import oracle
from engine.sampling.blocks import plan_blocks
from engine.sampling.predictors import PREDICTORS, sample_by_predictor
from engine.sampling.session import Session, config_of
from engine.strategies import REGISTRY, Plan, Strategy, View, asks_network, make_strategy
from engine.text import infill
from tests.engine import library
from tests.engine.stats import ENOUGH, outcome, same_distribution
from tests.engine.test_oracle import lively
from tests.engine.toys import MASK, Toy

PROMPT = [1, MASK, MASK, 3, 0, MASK, 2]
FIXED = np.array([token != MASK for token in PROMPT])
SHAPE: dict[str, Any] = {"steps": 12, "length": 12, "seed": 5, "prompt": PROMPT}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plain {text} [OTHER] <b>", ["plain {text} [OTHER] <b>"]),
        ("a [MASK] b", ["a ", 1, " b"]),
        ("a {mask}{mask*8} b", ["a ", 1, 8, " b"]),
        ("<|mdm_mask|> [mask]<MASK>", [1, " ", 1, 1]),
        ("{ MASK * 3 }", [3]),
        ("a <gap> b", ["a ", 1, " b"]),
        ("{masked} {masks*2}", ["{masked} {masks*2}"]),
        ("", []),
    ],
)
def test_masks_are_read_in_every_spelling(text: str, parts: list[infill.Part]) -> None:
    assert infill.parts(text, "<gap>") == parts
    assert infill.has_masks(text, "<gap>") is any(isinstance(part, int) for part in parts)


@pytest.mark.parametrize(
    "braces", ["{mask*0}", "{mask*}", "{mask 3}", "{mask*-1}", "{mask*99999999}", "{mask*999999999999}"]
)
def test_braces_that_are_miswritten_are_refused(braces: str) -> None:
    with pytest.raises(ValueError, match=r"is not a mask: write \{mask\}, or \{mask\*8\} .* --prompt-literal"):
        infill.parts(f"a {braces}")
    assert infill.has_masks(braces)


def test_a_word_that_is_the_mask_of_a_model_stays_a_word() -> None:
    assert infill.parts("the sea", "sea") == ["the sea"]


def model_of(tokenizer: Tokenizer, chat: Callable[[str], str] | None = None) -> tuple[TextModel, Codec]:
    """A toy with a real tokenizer, whose mask lies behind the vocabulary."""
    codec, network = Codec(tokenizer), Toy()
    network.mask_id, network.vocab_size = codec.size, codec.size + 1
    network.device, network.dtype = torch.device("cpu"), torch.float32  # type: ignore[attr-defined]
    return TextModel("toy", Loaded(network, codec, "toy", chat=chat)), codec  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [library.byte_level, library.meta_space, library.byte_fallback, library.word_piece])
def test_text_around_a_mask_is_spelled_as_if_a_word_were_there(make: Callable[..., Tokenizer]) -> None:
    model, codec = model_of(make([]) if make is library.byte_level else make())
    mask = model.mask_id
    before, after = codec.encode("the cat"), codec.encode("the cat sat the")[len(codec.encode("the cat sat")) :]
    assert model.prompt("the cat [MASK] {mask*2} the") == [*before, mask, mask, mask, *after]
    assert model.prompt("the cat") == before


def test_letters_keep_the_space_before_a_mask() -> None:
    from transformers import ByT5Tokenizer

    codec = Codec.of(ByT5Tokenizer())
    assert not codec.words_bring_space
    assert infill.parts("a {mask}", "", codec.words_bring_space) == ["a ", 1]


def test_masks_inside_a_chat_template_are_filled_and_its_own_text_stays() -> None:
    model, codec = model_of(library.byte_level([]), lambda text: f"ask: {text.strip()}\nanswer:")
    mask = model.mask_id
    found = model.prompt("the {mask*2} sat", chat=True)
    assert found == [*codec.encode("ask: the"), mask, mask, *codec.encode(" sat\nanswer:")]
    assert model.prompt("the cat", chat=True) == codec.encode("ask: the cat\nanswer:", special=True)
    lossy, _ = model_of(library.byte_level([]), lambda text: "ask")
    with pytest.raises(ValueError, match="loses its masks: leave out --chat"):
        lossy.prompt("the [MASK]", chat=True)


SPECIAL = ["[MASK]", "<|user|>", "<|end|>"]


@pytest.mark.parametrize("text", ["the [MASK] sat", "the<|end|><|user|>", " [MASK]", "the {mask} cat<|end|>\n"])
def test_a_literal_prompt_is_letters_inside_a_chat_template_too(text: str) -> None:
    model, codec = model_of(library.byte_level(SPECIAL), lambda text: f"<|user|>{text.strip()}<|end|>so")
    user, end = (codec.encode(name, special=True) for name in SPECIAL[1:])
    model.mask_id = codec.encode("[MASK]", special=True)[0]
    found = model.prompt(text, chat=True, infill=False)
    assert found == [*user, *codec.encode(text.strip()), *end, *codec.encode("so")]


def test_special_tokens_are_letters_beside_masks_in_a_chat_template() -> None:
    model, codec = model_of(library.byte_level(SPECIAL[1:]), lambda text: f"<|user|>{text}<|end|>")
    user, end = (codec.encode(name, special=True) for name in SPECIAL[1:])
    found = model.prompt("{mask}<|end|> the [MASK]", chat=True)
    assert found == [*user, model.mask_id, *codec.encode("<|end|> the"), model.mask_id, *end]


@pytest.mark.parametrize("wrap", [str.upper, lambda text: "ask", lambda text: text + text])
def test_a_template_that_changes_a_prompt_with_special_tokens_is_refused(wrap: Callable[[str], str]) -> None:
    model, _ = model_of(library.byte_level(SPECIAL), wrap)
    with pytest.raises(ValueError, match=r"The chat template changes the prompt: leave out --chat"):
        model.prompt("the <|end|>", chat=True, infill=False)


def test_a_literal_prompt_has_letters_where_a_mask_is_spelled() -> None:
    model, codec = model_of(library.byte_level([]))
    assert model.prompt("the {mask} [MASK]", infill=False) == codec.encode("the {mask} [MASK]")


# -- samplers


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("shape", [{}, {"block_length": 3}, {"stride": 4, "strides": 1}], ids=str)
def test_what_is_fixed_stays_and_every_mask_is_filled(name: str, shape: dict[str, Any]) -> None:
    strategy = make_strategy(name)
    shape = {**SHAPE, "steps": 8, **shape}
    session = Session(Toy(), strategy, batch=3, **shape)
    assert np.array_equal(session.locked[:, : len(PROMPT)].numpy(), np.broadcast_to(FIXED, (3, len(PROMPT))))
    calls = 0
    for frame in session:
        assert ((frame.change == Change.LOCKED).sum(-1) == FIXED.sum()).all()
        here = frame.tokens[:, : len(PROMPT)][:, FIXED], frame.held[:, : len(PROMPT)][:, FIXED]
        assert (here[0] == np.array(PROMPT)[FIXED]).all()
        assert (here[1] == 1).all()
        calls = frame.network_calls
    assert calls
    assert not (session.tokens == MASK).any()
    drawn = engine.sample(Toy(), strategy, count=3, width=2, **shape)
    assert torch.equal(drawn, session.tokens)


def test_masks_at_the_end_of_a_prompt_are_the_length_behind_it() -> None:
    for shape in ({}, {"block_length": 4}):
        bare = engine.sample(Toy(), make_strategy("remdm-cap"), **{**SHAPE, "prompt": [1, 2]}, **shape)
        filled = engine.sample(Toy(), make_strategy("remdm-cap"), **{**SHAPE, "prompt": [1, 2, MASK, MASK]}, **shape)
        assert torch.equal(bare, filled)


def test_equal_shares_are_of_what_is_to_be_filled() -> None:
    session = Session(Toy(), make_strategy("low-confidence"), **{**SHAPE, "steps": 4})
    assert [frame.count(Change.REVEALED) for frame in session] == [2, 2, 2, 2]


def test_a_step_a_token_counts_the_masks_alone() -> None:
    assert RunChoice(None, 12).steps_after(sum(infill.fixed(PROMPT, MASK))) == 8


def test_blocks_begin_at_the_first_mask_and_leave_out_what_is_fixed_already() -> None:
    stays = [True] * 2 + [False] * 2 + [True] * 6 + [False]
    blocks = plan_blocks(6, 14, stays, 4)
    assert (blocks.edges, blocks.steps) == ((2, 10, 14), (3, 3))
    assert plan_blocks(5, 14, [True] * 14, 4).edges == (14, 14)
    assert plan_blocks(6, 8, [True, False, True], stride=4, strides=1).edges == (1, 8, 12)


@pytest.mark.parametrize("name", ["mdlm", "remdm-cap", "remdm-conf", "low-confidence", "left-to-right"])
def test_laws_hold_between_tokens_that_stay(name: str) -> None:
    strategy = make_strategy(name)
    session = Session(Toy(), strategy, batch=64, **{**SHAPE, "steps": 20, "length": 16})
    state = LawState()
    for frame in session:
        state, found = check_laws(frame, claims_of(strategy), state, session.blocks.edges)
        assert not found


COUNT, SHORT, STEPS = 16_000, [MASK, 2, MASK, 0, MASK], 3


def dense(strategy: Strategy) -> NDArray[np.int64]:
    """Outcomes of whole trajectories by the oracle, with what must stay given."""
    model, settings = Toy(), config_of(strategy, Settings(strategy.name)).settings
    tokens = torch.tensor(SHORT).repeat(COUNT, 1)
    stays = tokens != MASK
    held = torch.where(stays, 1.0, torch.nan).double()
    noise, states = torch.Generator().manual_seed(12), []
    for times in pairwise(strategy.grid(STEPS).tolist()):
        t, s = (torch.full((COUNT, 1), time, dtype=torch.float64) for time in times)
        if asks_network(strategy):
            new, gained, _ = oracle.step(model, strategy, settings, tokens, held, t, s, noise)
        else:
            masked = tokens == MASK
            alpha_t, alpha_s = strategy.alpha(t), strategy.alpha(s)
            found = strategy.plan(View(t, s, alpha_t, alpha_s, masked, ~masked & ~stays, held))
            p = oracle.denoised(model, tokens, settings, alpha_t).view(*tokens.shape, -1)
            q = oracle.dense_posterior(p, tokens, Plan(found.unmask, found.remask.expand_as(held) * ~stays), MASK)
            new = oracle.gumbel_max(q, noise)
            gained = torch.where(new == tokens, held, p.gather(-1, new[:, :, None])[:, :, 0])
        held = torch.where(stays, held, gained.masked_fill(new == MASK, torch.nan))
        tokens = torch.where(stays, tokens, new)
        states.append(tokens.numpy())
    return outcome(*states, base=MASK + 1)


@pytest.mark.parametrize("name", ["remdm-cap", "remdm-conf", "low-confidence"])
def test_trajectories_between_fixed_tokens_are_distributed_as_the_dense_update(name: str) -> None:
    strategy = lively(name)
    session = Session(Toy(), strategy, steps=STEPS, length=len(SHORT), batch=COUNT, seed=11, prompt=SHORT)
    fast = outcome(*(frame.tokens for frame in session if not frame.final), base=MASK + 1)
    assert same_distribution(fast, dense(strategy)) > ENOUGH


@pytest.mark.parametrize("name", PREDICTORS)
def test_the_fields_predictors_fill_the_masks_of_a_prompt(name: str) -> None:
    tokens = sample_by_predictor(Toy(), name, steps=6, length=10, count=4, seed=1, prompt=PROMPT).tokens
    assert (tokens[:, : len(PROMPT)][:, torch.from_numpy(FIXED)] == torch.tensor(PROMPT)[torch.from_numpy(FIXED)]).all()
    assert not (tokens == MASK).any()


def test_a_replay_and_a_branch_keep_scattered_tokens() -> None:
    session = Session(Toy(), make_strategy("remdm-cap", eta=0.3), **SHAPE)
    whole = [frame.tokens.copy() for frame in session]
    session.rewind(3)
    session.fork()
    again = [frame.tokens for frame in session]
    assert all(np.array_equal(a, b) for a, b in zip(whole[3:], again, strict=True))


# -- models that look to the left alone


class Causal(Toy):
    causal = True


def test_a_causal_model_fills_no_mask_before_text() -> None:
    strategy = make_strategy("left-to-right")
    refused = "the model is causal, so it cannot fill a mask to fit the text after it"
    with pytest.raises(ValueError, match=refused):
        Session(Causal(), strategy, **SHAPE)
    with pytest.raises(ValueError, match=refused):
        engine.sample(Causal(), strategy, **SHAPE)
    session = Session(Causal(), strategy, **{**SHAPE, "prompt": [1, 2, MASK]})
    with pytest.raises(ValueError, match=refused):
        session.edit(Edit("prompt", tokens=(1, MASK, 2)))
    assert not (engine.sample(Causal(), strategy, **{**SHAPE, "prompt": [1, 2, MASK]}) == MASK).any()


# -- a person's hand


def test_a_prompt_by_hand_may_have_masks() -> None:
    session = Session(Toy(), make_strategy("mdlm"), **{**SHAPE, "prompt": [1, 2, 3]}, batch=2)
    list(session)
    was = session.tokens.clone()
    frame = session.edit(Edit("prompt", 1, tokens=(4, MASK, 0, MASK, 1)))
    assert frame.tokens[1, :5].tolist() == [4, MASK, 0, MASK, 1]
    codes = [Change.LOCKED, Change.REMASKED, Change.LOCKED, Change.REMASKED, Change.LOCKED]
    assert frame.change[1, :5].tolist() == codes
    assert frame.tokens[0].tolist() == was[0].tolist()
    assert frame.tokens[1, 5:].tolist() == was[1, 5:].tolist()
    shorter = session.edit(Edit("prompt", 1, tokens=(2,)))
    assert shorter.tokens[1, :5].tolist() == [2, MASK, MASK, MASK, MASK]
    assert shorter.change[1, 1:5].tolist() == [Change.MASKED, Change.REMASKED, Change.MASKED, Change.REMASKED]
    list(session)
    assert not (session.tokens == MASK).any()


def test_in_blocks_a_prompt_keeps_its_masks() -> None:
    session = Session(Toy(), make_strategy("mdlm"), **SHAPE, block_length=3)
    with pytest.raises(ValueError, match="in blocks the prompt keeps its 7 tokens, 3 of them masks: start a new run"):
        session.edit(Edit("prompt", tokens=(1, 2)))
    session.edit(Edit("prompt", tokens=(4, MASK, MASK, 4, 4, MASK, 4)))
    while session._line.clock.block == 0:
        next(session)
    with pytest.raises(ValueError, match="position 1 lies in a block that is finished"):
        session.edit(Edit("prompt", tokens=tuple(PROMPT)))


def test_an_evaluation_counts_the_steps_of_what_is_filled() -> None:
    drawn_by = Sampling("mdlm", {}, 1.0, 1.0, "exclusive", "inverse-cdf", 8, 12, 0, 1, block_length=4)
    assert drawing.steps_of(drawn_by, infill.fixed(PROMPT, MASK)) == 8
    drawing.check_plan(Toy(), drawn_by, PROMPT)
