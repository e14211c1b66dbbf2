"""A kind of network is one record in KINDS: its files are written, loaded and laid out for the hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from engine.data.special_tokens import MASK
from engine.models import checkpoint, load_model
from engine.models.dit import DIT, DITConfig
from engine.models.folded import FoldedDIT
from engine.models.kinds import KINDS, NetworkKind
from engine.models.loading import Loaded, LoadRequest
from engine.models.readers.training_run import averaged
from engine.models.text import Codec
from engine.training.config import TrainConfig
from engine.training.ema import EMA
from engine.training.export import publish
from engine.training.objectives import OBJECTIVES
from engine.training.tokenizers import train_tokenizer
from tests.engine.texts import VOCABULARY, write_texts


class Gated(DIT):
    """A network of another class."""


def gated(model: Gated, request: LoadRequest, codec: Codec) -> Loaded:
    return Loaded(FoldedDIT(model, request.dtype, request.attention), codec, "Gated MDLM")


def test_one_record_adds_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "gated", NetworkKind(Gated, gated, "subs", "gated-mdlm"))
    codec = train_tokenizer(iter(write_texts(tmp_path).read_text(encoding="utf-8").split("\n\n")), VOCABULARY)
    size = codec.get_vocab_size()
    shape = DITConfig(size, 16, 1, 2, 8, 12, mask_id=codec.token_to_id(MASK))
    torch.manual_seed(0)
    trained = Gated(shape)

    model = averaged("gated", shape, EMA(trained, 0.5).state_dict())
    assert isinstance(model, Gated)
    checkpoint.export_model(model, codec.to_str(), tmp_path / "model", kind="gated")
    publish(model, codec, tmp_path / "hub", "gated", None)

    assert isinstance(checkpoint.read_network(tmp_path / "model"), Gated)
    assert load_model(str(tmp_path / "model"), "cpu", "float32").info.kind == "Gated MDLM"
    published = json.loads((tmp_path / "hub" / "config.json").read_text(encoding="utf-8"))
    assert (published["model_type"], published["parameterization"]) == ("gated-mdlm", "subs")
    (tmp_path / "model" / "config.json.sha256").unlink()
    (tmp_path / "model" / "config.json").write_text('{"format": 1, "kind": "other"}', encoding="utf-8")
    with pytest.raises(ValueError, match="'gated'"):
        load_model(str(tmp_path / "model"), "cpu")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains_a_kind(objective: str) -> None:
    assert OBJECTIVES[objective].make(TrainConfig(objective=objective), 0).kind in KINDS
