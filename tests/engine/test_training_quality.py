"""A head that scores tokens: its loss by hand, what it learns on a toy, and its file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.files.fingerprint import fingerprint
from engine.files.run_layout import QUALITY
from engine.models import checkpoint, load_model
from engine.models.dit import DIT, DITConfig
from engine.models.quality import QualityHead, hidden_size, read_head, write_head
from engine.sampling.session import Session
from engine.strategies import make_strategy
from engine.training.data import prepare
from engine.training.quality import HeadConfig, quality_loss, refilled, train_head
from tests.engine.texts import VOCABULARY, write_texts
from tests.engine.toys import MASK, Toy

ROWS = np.random.default_rng(4).integers(0, 2, (60, 12))
"""Texts of two letters; the toy proposes all five."""
CPU = torch.device("cpu")


class Shows(Toy):
    """A toy whose hidden state also holds the token that stands there, as a network's does."""

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        shown = torch.nn.functional.one_hot(tokens, self.vocab_size).float()
        return torch.cat((super().encode(tokens, t), shown), -1)

    def project(self, hidden: Tensor) -> Tensor:
        return hidden[:, : self.vocab_size]


def test_the_loss_is_the_cross_entropy_of_being_right() -> None:
    head = QualityHead(3)
    hidden, right = (
        torch.randn(4, 3, generator=torch.Generator().manual_seed(1)),
        torch.tensor([True, False, True, True]),
    )
    odds = head(hidden).tolist()
    by_hand = [math.log1p(math.exp(-x if good else x)) for x, good in zip(odds, right.tolist(), strict=True)]
    assert float(quality_loss(head, hidden, right).detach()) == pytest.approx(sum(by_hand) / 4, rel=1e-5)


def test_what_is_judged_is_what_the_model_fills_in_and_then_sees() -> None:
    shown: list[Tensor] = []

    class Watched(Shows):
        def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
            shown.append(tokens.clone())
            return super().encode(tokens, t)

    text = torch.as_tensor(ROWS[:8])
    hidden, right = refilled(Watched(), text, 0.5, torch.Generator().manual_seed(2))
    before, after = shown
    filled = (before == MASK) & (after != MASK)
    assert filled.any(-1).all()
    assert (before[before != MASK] == text[before != MASK]).all()
    assert ((after == MASK) | filled | (before != MASK)).all()
    assert right.tolist() == (after == text)[filled].tolist()
    assert hidden[:, MASK + 1 :].argmax(-1).tolist() == after[filled].tolist()


def test_a_head_learns_which_letters_the_texts_have() -> None:
    head, learnt = train_head(Shows(), ROWS, HeadConfig(steps=150, batch=8, share=1.0, lr=0.01))
    assert learnt.auc > 0.7
    assert learnt.loss < learnt.blind - 0.05
    again, _ = train_head(Shows(), ROWS, HeadConfig(steps=150, batch=8, share=1.0, lr=0.01))
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), again.parameters(), strict=True))


def test_too_little_text_and_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 20 rows of text, and the data fill 5"):
        train_head(Shows(), ROWS[:5], HeadConfig())
    with pytest.raises(ValueError, match="steps and batch of at least 1, and a share in 0 to 1"):
        train_head(Shows(), ROWS, HeadConfig(share=0))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("quality")
    corpus = prepare([write_texts(home)], VOCABULARY, home / "cache")
    size = corpus.tokenizer.get_vocab_size()
    torch.manual_seed(5)
    checkpoint.export_model(DIT(DITConfig(size, 24, 2, 3, 8, 16, size - 1)), corpus.tokenizer.to_str(), home / "model")
    return home / "model"


def test_a_head_beside_a_model_is_loaded_with_it_and_leaves_its_fingerprint(home: Path) -> None:
    before, bare = fingerprint(home), load_model(str(home), "cpu", "float32")
    assert bare.quality is None
    with pytest.raises(ValueError, match="prism needs a model with a trained head"):
        Session(bare, make_strategy("prism"), steps=4, length=16)
    torch.manual_seed(1)
    head = QualityHead(hidden_size(bare))
    write_head(head, home)
    model = load_model(str(home), "cpu", "float32")
    hidden = torch.randn(3, 24)
    assert model.quality is not None
    torch.testing.assert_close(model.quality(hidden), head(hidden).detach())
    assert model.loaded.quality_digest
    assert fingerprint(home) == before
    frames = list(Session(model, make_strategy("prism", num_remasking=3), steps=6, length=16, seed=1))
    assert not (frames[-1].tokens == model.mask_id).any()
    assert any((frame.change == 3).any() for frame in frames)


def test_a_head_of_another_size_or_a_broken_file_is_named(home: Path, tmp_path: Path) -> None:
    write_head(QualityHead(7), tmp_path)
    with pytest.raises(ValueError, match=r"quality\.safetensors: .*up\.weight has shape .*train a head for this model"):
        read_head(tmp_path / QUALITY, 24, CPU)
    (tmp_path / QUALITY).write_bytes(b"\x80\x04 no tensors")
    with pytest.raises(ValueError, match=r"quality\.safetensors"):
        read_head(tmp_path / QUALITY, 24, CPU)


def test_the_demo_model_has_a_head_and_runs_prism() -> None:
    model = load_model("demo", "cpu", "float32")
    session = Session(model, make_strategy("prism", num_remasking=4), steps=8, length=24, seed=3)
    frames = list(session)
    assert any((frame.change == 3).any() for frame in frames)
    assert not (frames[-1].tokens == model.mask_id).any()
