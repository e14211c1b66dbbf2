"""Generative perplexity and the judge, against plain loops over texts and tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2LMHeadModel

from engine.bench.judge import PLAIN_BATCHES, measure_scoring, plain_nats
from engine.data.special_tokens import END_OF_TEXT
from engine.metrics.entropy import entropy
from engine.metrics.generative_perplexity import generative_perplexity, padded, score_texts
from engine.metrics.judge import LanguageModel
from engine.metrics.judges import load_judge
from tests.engine.judges import save_gpt2, texts

POSITIONS = 64
HOW = ("reference", "standard")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gpt2(tmp_path_factory.mktemp("judge"), POSITIONS)


@pytest.fixture(scope="module")
def judge(home: Path) -> LanguageModel:
    return load_judge(str(home), "cpu")


@pytest.fixture(scope="module")
def plain(home: Path) -> tuple[GPT2LMHeadModel, AutoTokenizer]:
    return AutoModelForCausalLM.from_pretrained(home).eval(), AutoTokenizer.from_pretrained(home)


def samples() -> list[str]:
    """With ends inside, at the start, several, none; an empty text; one that is longer than the judge's context."""
    base = texts(17, seed=3)
    e = END_OF_TEXT
    return [
        *base, f"{e}{base[0]} {e} {base[1]}", f"{base[2]}{e}", f"{base[3]} {e}{e}{base[4]}{e}", e, "",
        " ".join(base[5:12] * 3), f"{e}{e}{base[6]}",
    ]  # fmt: skip


class Spelt:
    """A judge whose start and end are two tokens, 1 and 2; a text is its ids, of which each costs itself and a tenth
    of the one before."""

    name, context, start, end = "spelt", 64, 1, 2

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return [[int(word) for word in text.split()] for text in texts]

    def nll(self, rows: Sequence[Sequence[int]]) -> list[NDArray[np.float64]]:
        return [np.array(row[1:]) + np.array(row[:-1]) / 10 for row in rows]


@pytest.mark.parametrize(
    ("how", "text", "nats", "tokens"),
    [
        # behind the start token up to the first end: 5 + 6 + 2 + (1 + 5 + 6) / 10
        ("standard", "5 6 2 8", 14.2, 3),
        # starts and ends before a text go; a start inside is a token like any other, and no end
        ("standard", "2 1 5", 5.1, 1),
        ("standard", "5 1 6", 12.7, 3),
        # the first token is not scored, and all but the first end counts: 6 + 2 + 8 + (5 + 6 + 2) / 10
        ("reference", "5 6 2 8", 17.3, 3),
        ("reference", "5 2 6 2", 8.7, 2),
        # padded by ends, of which one counts; a start is no end
        ("reference", "5", 2.5, 1),
        ("reference", "5 1 1", 4.7, 3),
    ],
)
def test_starts_and_ends_that_are_two_tokens_are_distinguished(how: str, text: str, nats: float, tokens: int) -> None:
    scores = padded(score_texts(Spelt(), [text, "5 6 7 8 9"], how, length=64))
    assert (scores.nats[0], scores.tokens[0]) == (pytest.approx(nats), tokens)


def ids(count: int) -> list[NDArray[np.int64]]:
    return list(np.random.default_rng(1).integers(0, 40, (count, 50)))


@torch.no_grad()
def one_by_one(model: GPT2LMHeadModel, row: Sequence[int]) -> list[float]:
    """-log p of each token but the first, by one unbatched pass and float64 arithmetic."""
    logits = model(torch.tensor([list(row)])).logits[0].double()
    return [-float(torch.log_softmax(logits[i - 1], -1)[row[i]]) for i in range(1, len(row))]


def reference_by_hand(
    model: GPT2LMHeadModel, tokenizer: AutoTokenizer, every: list[str], batch: int, length: int
) -> Iterator[tuple[float, int]]:
    """(nats, tokens) of each text that the reference scores.

    All are padded with ends to the longest and cut at the model's length; what is longer than the judge's context is
    read in pieces, each by itself; a last partial batch is left out.
    """
    rows = [tokenizer(text)["input_ids"][:length] for text in every]
    longest, end = max(map(len, rows)), tokenizer.eos_token_id
    for row in rows[: len(rows) // batch * batch]:
        padded = row + [end] * (longest - len(row))
        nats, tokens = 0.0, 0
        for at in range(0, longest, POSITIONS):
            piece = padded[at : at + POSITIONS]
            ends = int(piece[0] == end)
            for token, loss in zip(piece[1:], one_by_one(model, piece), strict=True):
                ends += token == end
                if token != end or ends == 1:
                    nats, tokens = nats + loss, tokens + 1
        yield nats, tokens


def standard_by_hand(model: GPT2LMHeadModel, tokenizer: AutoTokenizer, text: str) -> tuple[float, int]:
    end = tokenizer.eos_token_id
    row = tokenizer(text)["input_ids"]
    while row and row[0] == end:
        row = row[1:]
    if end in row:
        row = row[: row.index(end) + 1]
    losses = one_by_one(model, [tokenizer.bos_token_id, *row][:POSITIONS])
    return sum(losses), len(losses)


@pytest.mark.parametrize("length", [9, POSITIONS, 200])
def test_the_reference_is_a_padded_loop(
    judge: LanguageModel, plain: tuple[GPT2LMHeadModel, AutoTokenizer], length: int
) -> None:
    every = [*samples(), " ".join(texts(9, seed=4))]
    every = [*every[:16], *every[17:]]
    found = generative_perplexity(judge, every, ids(len(every)), "reference", batch=5, length=length)
    expected = list(reference_by_hand(*plain, every, 5, length))
    assert len(expected) == len(every) - 4
    nats, tokens = (sum(part) for part in zip(*expected, strict=True))
    assert found.perplexity.value == pytest.approx(math.exp(nats / tokens), rel=1e-6)
    assert found.tokens == tokens
    assert (found.texts, found.left_out) == (20, 4)
    assert found.scores.nats[:20] == pytest.approx([n for n, _ in expected], rel=1e-6, abs=1e-9)
    assert found.scores.tokens[:20].tolist() == [t for _, t in expected]
    assert found.limit == length


def test_the_standard_is_a_loop_over_whole_texts(
    judge: LanguageModel, plain: tuple[GPT2LMHeadModel, AutoTokenizer]
) -> None:
    every = samples()
    found = generative_perplexity(judge, every, ids(len(every)))
    expected = [standard_by_hand(*plain, text) for text in every]
    nats, tokens = (sum(part) for part in zip(*expected, strict=True))
    assert found.perplexity.value == pytest.approx(math.exp(nats / tokens), rel=1e-6)
    assert (found.tokens, found.texts, found.left_out, found.limit) == (tokens, len(every), 0, POSITIONS)
    each = [math.exp(n / t) if t else math.nan for n, t in expected]
    assert found.scores.perplexities == pytest.approx(each, rel=1e-6, nan_ok=True)
    assert found.cut == 1
    assert found.scores.cut.tolist().index(True) == len(every) - 2


def test_the_conventions_differ_where_they_say_so(judge: LanguageModel) -> None:
    """Tokens behind the first end count for one alone, and so does the padding's first end."""
    tail = f"the cat{END_OF_TEXT} the dog sang"
    both = [tail, "the mat the mat the mat the mat"]
    counts = {how: padded(score_texts(judge, both, how, length=64)) for how in HOW}
    head, rest = (len(judge.tokens([text])[0]) for text in ("the cat", " the dog sang"))
    assert counts["standard"].tokens[0] == head + 1
    assert counts["reference"].tokens[0] == head + 1 + rest - 1
    short = padded(score_texts(judge, ["the cat", tail], "reference", length=64))
    assert short.tokens[0] == head - 1 + 1
    assert padded(score_texts(judge, ["the cat"], "reference", length=64)).tokens[0] == head - 1


def test_a_text_is_scored_alone_and_padded_among_all(judge: LanguageModel) -> None:
    every = samples()
    whole = score_texts(judge, every, "reference", length=30)
    for i, text in enumerate(every):
        alone = score_texts(judge, [text], "reference", length=30)
        assert alone.nats[0] == pytest.approx(whole.nats[i], rel=1e-5, abs=1e-6)
        assert alone.ends[0] == pytest.approx(whole.ends[i], rel=1e-5, abs=1e-6, nan_ok=True)
        assert (alone.tokens[0], alone.lengths[0]) == (whole.tokens[i], whole.lengths[i])
    more = padded(whole).tokens - whole.tokens
    assert set(more.tolist()) == {0, 1}
    assert not more[whole.lengths == whole.lengths.max()].any()


def test_a_text_as_long_as_what_is_read_has_no_padding(judge: LanguageModel) -> None:
    (row,) = judge.tokens(["the cat"])
    for length, padding in ((len(row), False), (len(row) + 1, True)):
        found = score_texts(judge, ["the cat"], "reference", length=length)
        assert bool(np.isfinite(found.ends[0])) == padding
        assert (found.lengths[0], found.tokens[0]) == (len(row), len(row) - 1)


def test_the_reference_reads_the_models_length_and_the_standard_all_that_the_judge_can(tmp_path: Path) -> None:
    patient = load_judge(str(save_gpt2(tmp_path, 1100)), "cpu")
    long = " ".join(texts(100, seed=2))
    assert len(patient.tokens([long])[0]) > 1100
    read = {how: score_texts(patient, [long], how, length=1050) for how in HOW}
    # the reference's judge reads pieces of 1,024 tokens: what begins one is not scored
    assert {how: (scores.limit, int(scores.tokens[0])) for how, scores in read.items()} == {
        "reference": (1050, 1023 + 25),
        "standard": (1100, 1099),
    }
    assert all(scores.cut.all() for scores in read.values())


@pytest.mark.parametrize("how", HOW)
def test_entropy_is_beside_it(judge: LanguageModel, how: str) -> None:
    every = texts(16, seed=5)
    found = generative_perplexity(judge, every, ids(16), how)
    assert found.entropy == entropy(ids(16))
    assert found.judge == judge.name
    assert found.conventions.name == how
    assert found.perplexity.low is not None
    assert found.perplexity.low < found.perplexity.value


@pytest.mark.parametrize("batch_tokens", [1, 70, 1 << 20])
def test_what_is_batched_with_what_does_not_matter(home: Path, judge: LanguageModel, batch_tokens: int) -> None:
    rows = [row[:POSITIONS] for row in judge.tokens(samples())]
    other = load_judge(str(home), "cpu", batch_tokens=batch_tokens)
    for a, b in zip(judge.nll(rows), other.nll(rows), strict=True):
        assert a == pytest.approx(b, rel=1e-5, abs=1e-6)
    full = [row for row in rows if row]
    assert judge.features(full) == pytest.approx(other.features(full), rel=1e-4, abs=1e-5)


def test_features_are_the_last_hidden_state_at_the_last_token(
    judge: LanguageModel, plain: tuple[GPT2LMHeadModel, AutoTokenizer]
) -> None:
    rows = judge.tokens(texts(6, seed=8))
    with torch.no_grad():
        states = [plain[0](torch.tensor([row]), output_hidden_states=True).hidden_states[-1][0, -1] for row in rows]
    assert judge.features(rows) == pytest.approx(torch.stack(states).numpy(), rel=1e-4, abs=1e-5)


def test_a_judge_in_bfloat16_agrees_roughly(home: Path, judge: LanguageModel) -> None:
    every = texts(20, seed=9)
    low = load_judge(str(home), "cpu", "bfloat16")
    a, b = (score_texts(model, every, length=64) for model in (judge, low))
    assert b.nats.sum() == pytest.approx(a.nats.sum(), rel=0.02)
    assert (a.nats != b.nats).all()


class Crowded(GPT2LMHeadModel):
    """A network on a device with memory for so many rows of a batch."""

    room = 3

    def forward(self, input_ids: torch.Tensor, **given: object) -> object:
        if len(input_ids) > self.room:
            raise torch.OutOfMemoryError("no memory left")
        return super().forward(input_ids, **given)


def test_a_batch_that_finds_no_memory_is_halved(home: Path, judge: LanguageModel) -> None:
    model = Crowded.from_pretrained(home).eval()
    crowded = LanguageModel("crowded", model, judge.tokenizer)
    crowded._head = None  # so that the whole network runs, as it does where the head cannot be told apart
    rows = judge.tokens(texts(20, seed=4))
    before = crowded.batch_tokens
    for a, b in zip(crowded.nll(rows), judge.nll(rows), strict=True):
        assert a == pytest.approx(b, rel=1e-5, abs=1e-6)
    assert crowded.batch_tokens < before
    model.room = 0
    with pytest.raises(torch.OutOfMemoryError):
        crowded.nll(rows)


def test_progress_is_reported(home: Path) -> None:
    reports: list[tuple[int, int]] = []
    model = load_judge(str(home), "cpu", batch_tokens=100, done=lambda done, total: reports.append((done, total)))
    score_texts(model, texts(20, seed=4), length=64)
    assert len(reports) > 3
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    assert reports[-1] == (20, 20)


def test_what_cannot_be_scored_is_reported(judge: LanguageModel, home: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are no texts to score"):
        score_texts(judge, [], length=64)
    with pytest.raises(ValueError, match="none of the 2 texts has a token"):
        generative_perplexity(judge, ["", ""], ids(2))
    with pytest.raises(ValueError, match="2 texts have 3 sequences"):
        generative_perplexity(judge, ["a", "b"], ids(3))
    with pytest.raises(ValueError, match="unknown conventions"):
        score_texts(judge, ["a"], "usual", length=64)
    with pytest.raises(ValueError, match=r"the tokenizer of .* rejects text 1: "):
        score_texts(judge, ["the cat", "the \ud800 dog"], length=64)
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        score_texts(judge, ["the cat"], length=0)
    with pytest.raises(ValueError, match="unknown model 'gpt3-huge'"):
        load_judge("gpt3-huge")
    with pytest.raises(ValueError, match="unknown dtype 'int3'"):
        load_judge(str(home), dtype="int3")
    with pytest.raises(ValueError, match="reads 64 tokens, a text has 65"):
        judge.nll([[1] * 65])
    with pytest.raises(ValueError, match="an empty text has no last token"):
        judge.features([[1], []])


def test_a_tokenizer_with_more_tokens_than_the_judge_is_refused(home: Path, judge: LanguageModel) -> None:
    tokenizer = AutoTokenizer.from_pretrained(home)
    tokenizer.add_tokens(["zebra"])
    with pytest.raises(ValueError, match=r"rejects text 1: it gives token \d+, and the model knows \d+"):
        LanguageModel("odd", judge.model, tokenizer).tokens(["the cat", "a zebra"])


def test_the_plain_loop_that_is_timed_does_the_same_work(judge: LanguageModel) -> None:
    lines = list(measure_scoring(judge, samples(), repeats=1))
    assert len(lines) == len(PLAIN_BATCHES)
    assert all(line.ours > 0 and line.dense > 0 for line in lines)
    rows = [row[:POSITIONS] for row in judge.tokens(samples())]
    for batch in PLAIN_BATCHES:
        assert plain_nats(judge, [row for row in rows if row], batch) == pytest.approx(
            sum(found.sum() for found in judge.nll(rows)), rel=1e-5
        )
