"""The judge around a model of ours, against the plain network read one text at a time."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.data.special_tokens import END_OF_TEXT
from engine.metrics import judge_texts
from engine.metrics.generative_perplexity import generative_perplexity
from engine.metrics.judges import load_judge
from engine.metrics.mauve import features
from engine.metrics.own_judge import DirectoryJudge
from engine.models import checkpoint
from engine.models.causal_dit import CausalDIT
from engine.models.dit import DIT, DITConfig
from engine.models.kinds import KINDS
from engine.training.tokenizers import train_tokenizer
from tests.engine.judges import texts

LENGTH = 24


def saved(home: Path, network: type[CausalDIT] | type[DIT]) -> Path:
    """The directory of a network of random weights whose logits are far from flat."""
    tokenizer = train_tokenizer(iter(texts(50)), 300)
    size = tokenizer.get_vocab_size()
    torch.manual_seed(5)
    model = network(DITConfig(size, 24, 2, 3, 8, LENGTH, size - 1))
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.25)
    kind = next(kind for kind, made in KINDS.items() if made.network is network)
    checkpoint.export_model(model, tokenizer.to_str(), home, torch.float32, kind=kind)
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("judge"), CausalDIT)


@pytest.fixture(scope="module")
def judge(home: Path) -> DirectoryJudge:
    made = load_judge(str(home), "cpu")
    assert isinstance(made, DirectoryJudge)
    return made


def plain_nll(home: Path, row: list[int]) -> NDArray[np.float64]:
    """One row through the network as it is trained."""
    model = checkpoint.read_network(home)
    logits = model(torch.tensor([row[:-1]]))[0].double()
    logits[:, model.config.mask_id] = -torch.inf
    log_p = logits.log_softmax(-1)
    return np.array([-float(log_p[i, token]) for i, token in enumerate(row[1:])])


def test_every_token_of_every_text_has_the_plain_networks_likelihood(judge: DirectoryJudge, home: Path) -> None:
    rows = [[judge.start, *row][:LENGTH] for row in judge.tokens(texts(13))] + [[5], [7, 3]]
    found = judge.nll(rows)
    assert [len(values) for values in found] == [len(row) - 1 for row in rows]
    for values, row in zip(found, rows, strict=True):
        expected = plain_nll(home, row) if len(row) > 1 else np.zeros(0)
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6)
    assert found[0].dtype == np.float64


def test_the_generative_perplexity_is_that_of_a_plain_loop(judge: DirectoryJudge, home: Path) -> None:
    written = texts(9)
    found = generative_perplexity(judge, written, [[1, 2]] * 9)
    rows = [[judge.start, *row][: LENGTH + 1] for row in judge.tokens(written)]
    losses = [plain_nll(home, row) for row in rows]
    expected = math.exp(sum(map(np.sum, losses)) / sum(map(len, losses)))
    assert found.perplexity.value == pytest.approx(expected, rel=1e-6)


def test_probabilities_of_what_may_come_next_sum_to_one_without_the_mask(judge: DirectoryJudge) -> None:
    size = judge.vocab_size - 1
    values = judge.nll([[4, 9, token] for token in range(size)])
    assert sum(math.exp(-pair[1]) for pair in values) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("batch_tokens", [1, 60, 1 << 20])
def test_the_batch_changes_nothing(judge: DirectoryJudge, home: Path, batch_tokens: int) -> None:
    rows = [row[:LENGTH] for row in judge.tokens(texts(11))]
    reports: list[tuple[int, int]] = []
    other = load_judge(
        str(home), "cpu", batch_tokens=batch_tokens, done=lambda done, total: reports.append((done, total))
    )
    for mine, theirs in zip(other.nll(rows), judge.nll(rows), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    np.testing.assert_allclose(other.features(rows), judge.features(rows), atol=1e-5)
    assert reports[-1] == (11, 11)


def test_features_are_the_normed_state_behind_the_last_token(judge: DirectoryJudge, home: Path) -> None:
    rows = [row[:LENGTH] for row in judge.tokens(texts(6))]
    model = checkpoint.read_network(home)
    for row, found in zip(rows, judge.features(rows), strict=True):
        with torch.no_grad():
            head, weight = model.output_layer.linear, model.output_layer.norm_final.weight
            logits = model(torch.tensor([row]))[0, -1]
        again = (torch.from_numpy(found) * weight) @ head.weight.T + head.bias
        torch.testing.assert_close(again, logits, atol=1e-5, rtol=1e-5)
    assert features(judge, [*texts(6), ""]).points.shape == (6, 24)


def test_a_row_one_longer_than_the_network_is_scored_to_its_end(judge: DirectoryJudge) -> None:
    row = list(range(1, LENGTH + 2))
    assert judge.context == len(row)
    assert len(judge.nll([row])[0]) == LENGTH
    np.testing.assert_allclose(judge.features([row]), judge.features([row[1:]]), atol=1e-6)
    for read in (judge.nll, judge.features):
        with pytest.raises(ValueError, match=r"reads 25 tokens, a text has 26: cut it first"):
            read([[*row, 1]])


def test_texts_are_read_as_the_training_texts_were(judge: DirectoryJudge) -> None:
    codec = judge.model.codec
    ids, end = codec.encode, judge.end
    assert judge.tokens(["the “cat’s”"]) == [ids('the "cat\'s"')]
    assert judge.tokens(["cat\n\ndog\n\nbird"]) == [ids("cat\n\n") + ids("dog\n\n") + ids("bird")]
    assert judge.tokens(["cat\n\n"]) == [ids("cat\n\n")]
    assert judge.tokens([f"cat{END_OF_TEXT}dog"]) == [[*ids("cat"), end, *ids("dog")]]
    assert judge.tokens(["", END_OF_TEXT]) == [[], [end]]
    assert judge.model.mask_id not in judge.tokens(["a [MASK] spelt out"])[0]


def test_what_is_no_text_is_refused(judge: DirectoryJudge) -> None:
    for token in (-1, judge.model.mask_id, judge.vocab_size):
        with pytest.raises(ValueError, match="row 1 holds a token that is not text"):
            judge.nll([[1, 2], [3, token]])
    with pytest.raises(ValueError, match="an empty text has no last token"):
        judge.features([[1], []])
    assert judge.features([]).shape == (0, 0)


def test_a_model_that_sees_to_the_right_is_no_judge(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not predict from left to right"):
        load_judge(str(saved(tmp_path / "masked", DIT)), "cpu")


@pytest.mark.parametrize("name", ["demo-judge", "demo-ar"])
def test_the_packages_judge_goes_by_the_name_it_was_given_by(name: str) -> None:
    made = load_judge(name, "cpu")
    assert isinstance(made, DirectoryJudge)
    assert (made.name, made.context, made.start) == (name, 257, 0)


def test_the_packages_judge_prefers_a_text_to_its_words_in_no_order() -> None:
    text = (
        "“My dear,” said Lady Jane, as she laid down her book, “I am very glad that you have come; for I have been "
        "thinking of your brother all the morning, and I do not know what is to be done with him.” He took her hand, "
        "and looked into her face with a smile, but did not answer her for a moment."
    )
    words = text.split()
    order = np.random.default_rng(0).permutation(len(words))
    made = load_judge("demo-judge", "cpu")
    rows = [[made.start, *row] for row in made.tokens([text, " ".join(words[i] for i in order)])]
    plain, shuffled = (losses.mean() for losses in made.nll(rows))
    assert plain < 4.5
    assert shuffled > plain + 1


def test_texts_of_a_screen_are_judged_one_by_one(monkeypatch, capsys) -> None:
    written = ["It was a dark and stormy night.", "night stormy dark was It the the the the", ""]
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"texts": written, "length": 32})))
    judge_texts.main()
    fluent, jumbled, empty = json.loads(capsys.readouterr().out)
    assert fluent < jumbled
    assert empty is None
