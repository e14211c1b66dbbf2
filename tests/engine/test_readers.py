"""A layout of checkpoints is one reader in READERS; what goes wrong in it is distinguished from damaged files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import engine
from engine.models import load, load_model
from engine.models.dit import DIT, DITConfig
from engine.models.loading import Loaded, LoadRequest, Reader
from engine.models.readers import READERS
from tests.engine import dit_files
from tests.engine.dit_files import BLOCKS, COND, DIM, HEADS, LENGTH, MASK, VOCAB, write_tokenizer

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
SHAPE = DITConfig(VOCAB, DIM, BLOCKS, HEADS, COND, LENGTH, MASK)


def example() -> Reader:
    """Return the reader that CONTRIBUTING shows."""
    blocks = re.findall(r"^```python\n(.+?)^```", CONTRIBUTING.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (source,) = [block for block in blocks if "def recognises" in block]
    names: dict[str, Any] = {}
    exec(source, names)
    reader: Reader = names["PlainDit"]()
    return reader


def written(home: Path, shape: dict[str, object]) -> str:
    config = {"model_type": "plain-dit", "shape": shape}
    tensors = {name.replace("blocks.", "layers."): tensor for name, tensor in DIT(SHAPE).state_dict().items()}
    dit_files.write_hub(home, config, tensors)
    write_tokenizer(home / "tokenizer.json")
    return str(home)


def register(monkeypatch: pytest.MonkeyPatch, reader: Reader) -> None:
    monkeypatch.setattr(load, "READERS", (*READERS, reader))


def test_the_reader_of_contributing_reads_a_layout_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = written(tmp_path / "model", SHAPE.to_dict())
    with pytest.raises(ValueError, match=r"is not a supported checkpoint \(plain-dit\)"):
        load_model(home, "cpu", "float32")
    register(monkeypatch, example())
    model = load_model(home, "cpu", "float32")
    assert model.info.kind == "plain DIT"
    ids = engine.sample(model, engine.make_strategy("mdlm"), steps=4, length=6)
    assert ((ids >= 0) & (ids < MASK)).all()


def test_a_damaged_file_of_a_new_layout_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, example())
    with pytest.raises(ValueError, match=r"its files do not fit together \(TypeError: .*'width'"):
        load_model(written(tmp_path / "model", {"width": 8}), "cpu", "float32")
    save_file({"net.weight": torch.zeros(2)}, tmp_path / "model" / "model.safetensors")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "plain-dit", "shape": {}}')
    with pytest.raises(ValueError, match="missing"):
        load_model(str(tmp_path / "model"), "cpu", "float32")


class Broken:
    """A reader whose faults no file can cause."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        return config.get("model_type") == "plain-dit"

    def read(self, request: Any) -> Any:
        if self.fault == "request":
            return request.hom
        if self.fault == "itself":
            return self.shape  # type: ignore[attr-defined]
        return Loaded(network=None)  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("request", AttributeError, f"'{LoadRequest.__name__}' object has no attribute 'hom'"),
        ("itself", AttributeError, "'Broken' object has no attribute 'shape'"),
        ("loaded", TypeError, "missing 2 required positional arguments"),
    ],
)
def test_a_fault_of_a_reader_is_no_fault_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, kind: type[Exception], words: str
) -> None:
    register(monkeypatch, Broken(fault))
    with pytest.raises(kind, match=words):
        load_model(written(tmp_path / "model", SHAPE.to_dict()), "cpu", "float32")
