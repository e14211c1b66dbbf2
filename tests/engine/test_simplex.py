"""SSD-LM's sampler: its canvas against the dense formula, its noise, and what a session can do with it."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import engine
from engine import wire
from engine.debug.laws import Claims, LawState, check_laws
from engine.debug.prediction import predict_drafts, predict_position
from engine.debug.recorded_laws import check_record
from engine.evaluation.drawing import check_plan, draw_samples, steps_of
from engine.evaluation.plan import Sampling
from engine.models import load_model
from engine.records import Change, Edit, RunChoice
from engine.sampling import rng
from engine.sampling import simplex as module
from engine.sampling.batch import AbandonedSample, samples
from engine.sampling.rng import Purpose
from engine.sampling.session import Session
from engine.sampling.simplex import pack_bits, unpacked
from engine.strategies import REGISTRY, SIMPLEX, Strategy, describe, make_strategy
from tests.engine.simplex import SimplexTextToy, SimplexToy, TinySsdLM, write_ssd_lm
from tests.engine.stats import ENOUGH
from tests.engine.test_serve import OPEN, answers, settings
from tests.engine.toys import Toy

PROJECTIONS = ("even", "sampling")
SHAPE: dict[str, Any] = {"steps": 12, "length": 10, "block_length": 4, "prompt": (1, 3), "top_p": 0.7}


def rule(projection: str = "even", **knobs: float) -> Strategy:
    return make_strategy("ssd-lm", projection=projection, **knobs)


def noise(seed: int, number: int, step: int, position: int, vocabulary: int) -> list[float]:
    """Normals by Box-Muller in plain Python, two of each hash."""
    row = int(rng.uniform(rng.address_key(seed, number, step, Purpose.SIMPLEX), position) * 2.0**53)
    found = []
    for pair in range((vocabulary + 1) // 2):
        bits = rng.mix(row + (pair + 1) * rng.GOLDEN)
        radius = math.sqrt(-2 * math.log(((bits >> 32) + 0.5) / 2**32))
        angle = 2 * math.pi * (bits & 0xFFFFFFFF) / 2**32
        found += [radius * math.cos(angle), radius * math.sin(angle)]
    return found[:vocabulary]


def abar(t: float) -> float:
    def f(x: float) -> float:
        return math.cos((x + 1e-4) / (1 + 1e-4) * math.pi / 2) ** 2

    return f(t) / f(0)


def decoded(
    tiny: TinySsdLM, forbidden: list[int], prompt: list[int], blocks: int, size: int, steps: int, projection: str,
    top_p: float, seed: int, number: int, k: float, context: int = 1000,
) -> list[list[int]]:  # fmt: skip
    """The published decoding, dense and one sample at a time: the tokens after each step; context: those seen."""
    vocabulary, text, shown, step = len(tiny.embed_sum[0]), list(prompt), [], 0
    for block in range(blocks):
        at = len(prompt) + block * size
        x = k * torch.tensor([noise(seed, number, step, at + i, vocabulary) for i in range(size)])
        for t in range(steps, 0, -1):
            seen = torch.tensor([text[-context:]], dtype=torch.long)
            logits = tiny.logits(seen, x.softmax(-1)[None], t / steps)[0]
            logits[:, forbidden] = -torch.inf
            p = logits.double().softmax(-1)
            ordered, order = p.sort(descending=True, stable=True)
            before = ordered.cumsum(-1) - ordered
            nucleus = torch.zeros_like(p).scatter(-1, order, (before < top_p).double())
            if projection == "sampling":
                inside = (p * nucleus).cumsum(-1)
                key = rng.address_key(seed, number, step, Purpose.TOKEN)
                drawn = [int((row <= rng.uniform(key, at + i) * row[-1]).sum()) for i, row in enumerate(inside)]
                nucleus = torch.nn.functional.one_hot(torch.tensor(drawn), vocabulary).double()
            step += 1
            z = torch.tensor([noise(seed, number, step, at + i, vocabulary) for i in range(size)])
            level = abar((t - 1) / steps)
            x = math.sqrt(level) * (2 * k * nucleus - k).float() + math.sqrt(1 - level) * k * z
            shown.append(text + logits.argmax(-1).tolist())
        text += logits.argmax(-1).tolist()
    return shown


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinySsdLM:
    return write_ssd_lm(tmp_path_factory.mktemp("ssd-lm"))


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("k", [5.0, 1.0])
def test_decoding_is_that_of_the_dense_formula(
    tiny: TinySsdLM, projection: str, k: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 64)
    monkeypatch.setattr(module, "ROWS", 3)
    model = load_model(str(tiny.home), "cpu", "float32")
    session = Session(
        model, rule(projection, k=k), steps=8, length=11, prompt=(7, 9, 11), block_length=4, batch=2, seed=5,
        top_p=0.7, nucleus="inclusive",
    )  # fmt: skip
    frames = list(session)
    for number in range(2):
        expected = decoded(tiny, [model.mask_id, *model.never], [7, 9, 11], 2, 4, 4, projection, 0.7, 5, number, k)
        got = [frame.tokens[number][: len(row)].tolist() for frame, row in zip(frames, expected, strict=True)]
        assert got == expected


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_text_beyond_the_positions_is_decoded_behind_what_its_window_holds(tiny: TinySsdLM, projection: str) -> None:
    model = load_model(str(tiny.home), "cpu", "float32")
    shape: dict[str, Any] = {"steps": 6, "length": 8, "block_length": 4, "stride": 4, "strides": 2, "prompt": ()}
    shape |= {"seed": 5, "top_p": 0.7, "nucleus": "inclusive"}
    session = Session(model, rule(projection), batch=2, **shape)
    frames = list(session)
    assert len(frames) == 4 * 3
    for number in range(2):
        setting = [model.mask_id, *model.never], [], 4, 4, 3, projection, 0.7, 5, number, 5.0
        expected, all_of_it = decoded(tiny, *setting, context=4), decoded(tiny, *setting)
        got = [frame.tokens[number][: len(row)].tolist() for frame, row in zip(frames, expected, strict=True)]
        assert got == expected != all_of_it
    found = samples(model, rule(projection), range(2), width=2, **shape)
    assert [one.tokens.tolist() for one in found] == frames[-1].tokens.tolist()
    session.fork(8)
    assert [frame.tokens.tolist() for frame in session] == [frame.tokens.tolist() for frame in frames[8:]]


def test_the_noise_is_normal_and_its_neighbours_are_independent() -> None:
    keys = torch.from_numpy(rng.keys_of(1, [2] * 40, [3] * 40, Purpose.SIMPLEX))
    z = rng.normals(keys, torch.arange(40), 0, 5001).double().numpy()
    assert stats.kstest(z.ravel(), "norm").pvalue > ENOUGH
    assert stats.kstest(((z[:, 0:5000:2] + z[:, 1:5000:2]) / math.sqrt(2)).ravel(), "norm").pvalue > ENOUGH
    squares = z[:, 0:5000:2] ** 2 + z[:, 1:5000:2] ** 2
    assert stats.kstest(squares.ravel(), "chi2", args=(2,)).pvalue > ENOUGH
    assert abs(np.corrcoef(z[0], z[1])[0, 1]) < 0.08


def test_the_noise_is_that_of_its_address_whichever_piece_is_drawn() -> None:
    keys = torch.from_numpy(rng.keys_of(7, [3, 4], [5, 5], Purpose.SIMPLEX))
    whole = rng.normals(keys, torch.tensor([0, 9]), 0, 301)
    pieces = [rng.normals(keys, torch.tensor([0, 9]), i, min(64, 301 - i)) for i in range(0, 301, 64)]
    assert torch.equal(torch.cat(pieces, 1), whole)
    expected = torch.tensor([noise(7, 3, 5, 0, 301), noise(7, 4, 5, 9, 301)])
    torch.testing.assert_close(whole, expected, atol=2e-5, rtol=1e-5)
    assert math.sqrt(-2 * math.log(0.5 * 2**-32)) < rng.LARGEST_NORMAL


def test_sets_of_tokens_survive_packing() -> None:
    bits = torch.rand(3, 301) < 0.3
    assert torch.equal(unpacked(pack_bits(bits))[:, :301], bits)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_all_of_a_block_is_revealed_and_then_edited(projection: str) -> None:
    session = Session(SimplexToy(), rule(projection), batch=3, **SHAPE)
    for frame in session:
        here = slice(2 + 4 * frame.block, 6 + 4 * frame.block)
        change, codes = frame.change[:, here], {Change.HELD, Change.EDITED}
        first = frame.index in (0, 6)
        assert set(change.flatten().tolist()) <= ({Change.REVEALED} if first else codes)
        assert (frame.change[:, here.stop :] == Change.MASKED).all()
        assert frame.alpha_t == pytest.approx(abar(frame.t), abs=1e-12)
        assert frame.network_calls == 3 * (frame.index + 1)
        assert ((frame.held[:, here] > 0) & (frame.held[:, here] <= 1)).all()
    assert any((frame.change == Change.EDITED).any() for frame in session.frames)
    assert len(session.frames) == 12


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_step_breaks_no_law(projection: str) -> None:
    session = Session(SimplexToy(), rule(projection), batch=3, **SHAPE)
    info, state = describe(type(session.config.strategy)), LawState()
    claims = Claims(info.preserves_marginal, frozenset(info.reads), info.leaves_range)
    for frame in session:
        state, found = check_laws(frame, claims, state, session.blocks.edges)
        assert found == ()


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_rewinding_and_branches_replay_every_step(projection: str) -> None:
    session = Session(SimplexToy(), rule(projection), batch=2, **SHAPE)
    whole = [(frame.tokens.tolist(), np.nan_to_num(frame.held).tolist()) for frame in session]
    for index in (3, 6, 9):
        session.fork(index)
        assert [(frame.tokens.tolist(), np.nan_to_num(frame.held).tolist()) for frame in session] == whole[index:]
        session.switch(0)
    session.rewind(7)
    session.set(strategy=rule(projection, k=0.5))
    assert [frame.tokens.tolist() for frame in session] != [tokens for tokens, _ in whole[7:]]


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_token_put_by_hand_stands_in_the_canvas_and_a_locked_one_stays(projection: str) -> None:
    session = Session(SimplexToy(), rule(projection, k=10), steps=40, length=6, seed=3, top_p=0.7)
    for _ in range(39):
        next(session)
    before = int(session.tokens[0, 2])
    other = (before + 1) % 5
    session.fork()
    session.edit(Edit("force", 0, 2, (other,)))
    frame = next(session)
    session.rewind(40)
    assert session.tokens[0, 2] == other
    session.edit(Edit("lock", 0, 2))
    locked = next(session)
    assert (locked.tokens[0, 2], locked.change[0, 2]) == (other, Change.LOCKED)
    assert frame.change[0, 2] in (Change.HELD, Change.EDITED)


def test_a_position_masked_by_hand_is_noise_and_is_revealed_again() -> None:
    session = Session(SimplexToy(), rule(), batch=2, **SHAPE)
    next(session)
    session.edit(Edit("mask", 0, 3))
    frame = next(session)
    assert frame.change[0, 3] == Change.REVEALED
    assert frame.change[1, 3] in (Change.HELD, Change.EDITED)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_samples_are_those_of_a_session_whatever_the_batch(projection: str) -> None:
    session = Session(SimplexToy(), rule(projection), batch=5, seed=2, **SHAPE)
    expected = {n: row.tolist() for n, row in enumerate([*session][-1].tokens)}
    for width in (1, 2, 5):
        found = list(samples(SimplexToy(), rule(projection), range(5), seed=2, width=width, **SHAPE))
        assert {one.number: one.tokens.tolist() for one in found} == expected
        assert {one.network_calls for one in found} == {12}


def test_prompts_of_their_own_and_every_step_reach_the_samples() -> None:
    seen: list[tuple[int, list[int]]] = []
    prompts = {0: (1, 3), 7: (0, 4)}
    found = samples(
        SimplexToy(), rule(), (0, 7), prompts=prompts, on_step=lambda n, ids: seen.append((n, ids.tolist())), **SHAPE
    )
    assert {one.number: tuple(one.tokens[:2].tolist()) for one in found} == prompts
    assert len(seen) == 2 * 12
    assert all(tuple(ids[:2]) == prompts[number] for number, ids in seen)


class FailingToy(SimplexToy):
    """A toy that gives no numbers for samples that begin with token 4."""

    def encode_simplex(self, tokens: Tensor, t: Tensor, where: Tensor, mixed: Tensor) -> Tensor:
        bad = (tokens[:, 0] == 4)[where.nonzero()[:, 0]]
        return super().encode_simplex(tokens, t, where, mixed).masked_fill(bad[:, None], torch.nan)


def test_a_sample_without_numbers_is_given_up_and_the_others_go_on() -> None:
    lost: list[AbandonedSample] = []
    prompts = {0: (1, 3), 1: (4, 3), 2: (2, 3)}
    found = samples(FailingToy(), rule(), range(3), prompts=prompts, failed=lost.append, **SHAPE)
    assert [one.number for one in found] == [0, 2]
    assert lost == [AbandonedSample(1, 0, 2)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"block_length": 3}, "a block_length of 3 does not divide the 8 tokens after the prompt"),
        ({"length": 129, "block_length": None}, "length 129 is beyond the model's 128"),
        ({"top_p": 1.0}, "with top_p 1 the projection even puts every token at"),
        ({"cfg": 1.0}, "ssd-lm has no guidance"),
        ({"block_length": None, "stride": 4, "strides": 1}, "give a block_length that divides the stride"),
        ({"stride": 6, "strides": 1}, "give a block_length that divides the stride"),
        ({"steps": 1}, "1 steps cannot be shared out over 2 blocks"),
    ],
)
def test_bad_input_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Session(SimplexToy(), rule(), **SHAPE | changed)
    with pytest.raises(ValueError, match=message):
        engine.sample(SimplexToy(), rule(), **SHAPE | changed)


def test_a_projection_or_k_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="projection must be one of even, sampling"):
        rule("uneven")
    with pytest.raises(ValueError, match="k must lie in"):
        rule(k=0)


def test_another_model_is_refused_by_what_it_lacks() -> None:
    with pytest.raises(ValueError, match=r"embed_sum_layer\.pt and .* an ordinary masked language model"):
        Session(Toy(), rule(), **SHAPE)
    session = Session(Toy(), make_strategy("mdlm"), **SHAPE)
    with pytest.raises(ValueError, match="ssd-lm needs"):
        session.set(strategy=rule())


def test_a_run_can_change_to_the_simplex_and_back() -> None:
    session = Session(SimplexToy(), make_strategy("mdlm"), steps=12, length=8, top_p=0.7)
    for _ in range(6):
        next(session)
    session.set(strategy=rule())
    assert not (next(session).tokens == 5).any()
    session.set(strategy=make_strategy("remdm-cap", eta=0.5))
    assert [*session][-1].s == 0


PLAN = Sampling(
    strategy="ssd-lm", knobs={"projection": "even", "k": 5.0}, top_p=0.7, temperature=1.0, nucleus="inclusive",
    draw="inverse-cdf", steps=6, length=8, seed=4, count=3, block_length=4, predictor="ssd-lm",
)  # fmt: skip


def test_as_a_predictor_each_block_has_all_steps() -> None:
    model: Any = SimplexTextToy()
    check_plan(model, PLAN, [])
    found = list(draw_samples(model, PLAN, [], range(3), 2, pytest.fail, pytest.fail))
    session = Session(
        model, rule(), steps=12, length=8, block_length=4, batch=3, seed=4, top_p=0.7, nucleus="inclusive"
    )
    assert [one.tokens.tolist() for one in found] == [*session][-1].tokens.tolist()
    assert {one.network_calls for one in found} == {12} == {steps_of(PLAN, [])}


def test_as_a_predictor_each_block_of_every_window_has_all_steps() -> None:
    model: Any = SimplexTextToy()
    plan = msgspec.structs.replace(PLAN, stride=4, strides=2)
    check_plan(model, plan, [])
    found = list(draw_samples(model, plan, [], range(2), 2, pytest.fail, pytest.fail))
    assert {(len(one.tokens), one.network_calls) for one in found} == {(16, 24)}
    assert steps_of(plan, []) == 24


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"strategy": "mdlm", "knobs": {}}, "ssd-lm steps the strategy of its name"),
        ({"block_length": 3}, "a block_length of 3 does not divide"),
        ({"block_length": None, "stride": 4, "strides": 1}, "give a block_length that divides the stride"),
        ({"top_p": 1.0}, "with top_p 1 the projection even"),
    ],
)
def test_a_plan_that_cannot_be_sampled_is_refused(changed: dict[str, Any], message: str) -> None:
    model: Any = SimplexTextToy()
    with pytest.raises(ValueError, match=message):
        check_plan(model, msgspec.structs.replace(PLAN, **changed), [])


def test_the_inspector_shows_what_the_step_reads() -> None:
    session = Session(SimplexToy(), rule(), batch=2, **SHAPE)
    for _ in range(3):
        next(session)
    found = predict_position(session, 1, 4, kinds=REGISTRY | SIMPLEX)
    frame = next(session)
    assert (found.top[0].token, found.top[0].probability) == (frame.tokens[1, 4], pytest.approx(frame.held[1, 4]))
    verdicts = {one.strategy: one.problem for one in found.verdicts}
    assert verdicts["ssd-lm"] == "all of the block takes the network's argmax"
    assert predict_drafts(session, 0).positions == ()
    with pytest.raises(ValueError, match="position 8 is not in the block at work"):
        predict_position(session, 1, 8, kinds={})
    plain = Session(Toy(), make_strategy("mdlm"), **SHAPE)
    (verdict,) = predict_position(plain, 0, 4, kinds=SIMPLEX).verdicts[1:]
    assert verdict.problem == "the model reads no simplex"


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_recording_holds_what_the_session_shows(projection: str) -> None:
    model: Any = SimplexTextToy()
    shape = {**SHAPE, "prompt": "bd"}
    kept = engine.record(model, rule(projection), batch=2, **shape).trace(0)
    session = Session(model, rule(projection), batch=2, **SHAPE)
    for position, frame in enumerate(session, 1):
        read = kept.frame(position)
        assert read is not None
        assert (read.settings, read.alpha_s, read.block) == (frame.settings, frame.alpha_s, frame.block)
        for name in ("tokens", "change", "held", "edit_plan"):
            np.testing.assert_array_equal(getattr(read, name), getattr(frame, name))
    run, known = RunChoice(12, 10, 2, 0, "bd", block_length=4), {"ssd-lm": describe(SIMPLEX["ssd-lm"])}
    assert all(found == () for found in check_record(kept, run, known))


def test_the_engine_process_serves_it_and_continues_a_record_of_it() -> None:
    run = RunChoice(12, length=10, batch=2, seed=3, prompt="bd", block_length=4)
    how = settings("ssd-lm", {"projection": "even", "k": 5.0}, top_p=0.7)
    model: Any = SimplexTextToy()
    first = answers(OPEN, wire.Begin(1, how, run), wire.Credit(100), model=model)
    frames = [event for event in first if isinstance(event, wire.Stepped)]
    assert len(frames) == 12
    again = answers(OPEN, wire.Begin(1, how, run, at=8, past=((0, how),)), wire.Credit(100), model=model)
    assert [event for event in again if isinstance(event, wire.Stepped)] == frames[8:]
