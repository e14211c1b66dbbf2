"""The self-check of a loaded model, and what names stand for."""

from __future__ import annotations

import math

import pytest
import torch

from engine.models import TextModel, load_model
from engine.models.catalogue import BUILT_IN, resolve
from engine.models.text import Codec
from engine.records import ModelCheck
from engine.sampling.self_check import PROTEIN, familiar, self_check
from engine.training.tokenizers import alphabet_tokenizer
from tests.engine.toys import Letters


@pytest.fixture(scope="module")
def demo() -> TextModel:
    return load_model("demo", "cpu", "float32")


def test_a_trained_model_is_far_better_than_chance(demo: TextModel) -> None:
    check = self_check(demo, demo.codec)
    assert check.chance == math.log(demo.vocab_size - 1)
    assert check.loss < 0.5 * check.chance
    assert not check.garbled
    assert str(check) == f"loss {check.loss:.1f} nats a token (chance is 8.3)"


def test_the_check_is_the_same_each_time(demo: TextModel) -> None:
    assert self_check(demo, demo.codec) == self_check(demo, demo.codec)


def test_shuffled_weights_are_seen() -> None:
    model = load_model("demo", "cpu", "float32")
    embedding = model.network.embedding
    order = torch.randperm(len(embedding), generator=torch.Generator().manual_seed(0))
    model.network.embedding = embedding[order]
    check = self_check(model, model.codec)
    assert check.garbled
    assert "may be wrong" in str(check)


def test_a_tokenizer_of_digits_alone_reads_a_grid() -> None:
    assert len(familiar(Codec(alphabet_tokenizer("123456789")))) == 81
    with pytest.raises(ValueError, match="makes nothing of any text"):
        familiar(Codec(alphabet_tokenizer("xyz")))


class LeftToRight:
    """A causal toy that is certain of the given next token of each."""

    vocab_size, mask_id, max_length, time_conditioned, causal = 6, 5, None, False, True

    def __init__(self, follows: dict[int, int]) -> None:
        self.follows = follows

    def encode(self, tokens: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*tokens.shape, self.vocab_size)
        for i in range(1, tokens.shape[1]):
            logits[0, i, self.follows[int(tokens[0, i - 1])]] = 50.0
        return logits

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden


class Counting(Letters):
    """A codec that makes the same few tokens of any text."""

    def encode(self, text: str) -> list[int]:
        return [0, 1, 2, 3, 4] * 6


def test_a_causal_model_predicts_each_token_from_those_before_it() -> None:
    right = LeftToRight({i: (i + 1) % 5 for i in range(5)})
    assert self_check(right, Counting()).loss < 1e-9
    assert self_check(LeftToRight({i: i for i in range(5)}), Counting()).garbled


def test_a_loss_that_is_no_number_is_garbled() -> None:
    assert ModelCheck(math.nan, 8.0, 10).garbled


def test_a_model_of_proteins_is_given_a_protein() -> None:
    class Amino:
        def encode(self, text: str) -> list[int]:
            return ["ACDEFGHIKLMNPQRSTVWY".find(c) + 1 for c in text]

    assert familiar(Amino()) == Amino().encode(PROTEIN)


def test_a_tokenizer_that_makes_nothing_of_any_text_is_an_error(demo: TextModel) -> None:
    class Mute:
        def encode(self, text: str) -> list[int]:
            return []

    with pytest.raises(ValueError, match="nothing of any text"):
        self_check(demo, Mute())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nope", "unknown model 'nope': choose demo"),
        ("./nope", "there is no file or directory './nope'"),
        ("/no/such/dir", "there is no file or directory"),
        ("a/b/c", "there is no file or directory 'a/b/c'"),
        ("model.ckpt", "there is no file or directory 'model.ckpt'"),
    ],
)
def test_a_name_that_can_be_nothing_is_reported_without_loading(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        resolve(name)


def test_a_name_is_a_built_in_a_path_or_a_repository(tmp_path) -> None:
    assert all((resolve(name) / "config.json").is_file() for name in BUILT_IN)
    assert resolve(str(tmp_path)) == tmp_path
    assert resolve("org/name") is None
