"""A kind of network is one record in KINDS: its files are written, loaded and laid out for the hub, and no other
module asks which kind it has.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from engine.data.special_tokens import MASK
from engine.models import checkpoint, load_model
from engine.models.dit import DIT, DITConfig
from engine.models.folded import FoldedDIT
from engine.models.kinds import KINDS, FileHints, NetworkKind
from engine.models.loading import LoadRequest
from engine.models.readers.dit_family import find_network, network_kind
from engine.models.readers.training_run import averaged
from engine.models.text import Codec
from engine.training.config import TrainConfig
from engine.training.ema import EMA
from engine.training.export import publish
from engine.training.objectives import OBJECTIVES, Entry, mdlm
from engine.training.sections import GridSection, ModelSection
from engine.training.speed import flops_per_token
from engine.training.tokenizers import train_tokenizer
from tests.engine.texts import VOCABULARY, write_texts


class Gated(DIT):
    """A network of another class."""


@dataclass(frozen=True)
class GatedConfig(DITConfig):
    """A shape with a dimension that no section has."""

    gates: int = 2


def gated(model: Gated, request: LoadRequest, codec: Codec, hints: FileHints) -> tuple[FoldedDIT, Codec]:
    return FoldedDIT(model, request.dtype, request.attention), codec


def test_one_record_adds_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("gated-mdlm",)
    monkeypatch.setitem(KINDS, "gated", NetworkKind("Gated MDLM", Gated, gated, "subs", "gated-mdlm", words=words))
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
    found = find_network(LoadRequest("hub", tmp_path / "hub", torch.device("cpu"), torch.float32))
    assert network_kind(replace(found, config={"model_type": "gated-mdlm"}), "hub") == ("gated", ())
    (tmp_path / "model" / "config.json.sha256").unlink()
    (tmp_path / "model" / "config.json").write_text('{"format": 1, "kind": "other"}', encoding="utf-8")
    with pytest.raises(ValueError, match="'gated'"):
        load_model(str(tmp_path / "model"), "cpu")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains_a_kind(objective: str) -> None:
    assert OBJECTIVES[objective].make(TrainConfig(objective=objective), 0).kind in KINDS


def test_one_entry_adds_an_objective_that_trains_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "gated", NetworkKind("Gated MDLM", Gated, gated, "subs", None, GatedConfig))
    entry = Entry(lambda config, end: replace(mdlm.make(config, end), kind="gated"), timed=True)
    monkeypatch.setitem(OBJECTIVES, "gated", entry)

    config = TrainConfig(objective="gated")
    shape = config.network(9)
    assert (config.kind, config.discrete) == ("gated", None)
    assert isinstance(shape, GatedConfig)
    assert (shape.gates, shape.time_conditioning, shape.mask_id) == (2, True, 9)
    assert flops_per_token(config, 9) == flops_per_token(TrainConfig(), 9)
    with pytest.raises(ValueError, match=r"model\.grid is trained by objective = 'mdlm', not 'gated'"):
        TrainConfig(objective="gated", model=ModelSection(grid=GridSection()))


ROOT = Path(__file__).parents[2]
OWN_MODULES = ("engine/models/kinds.py", "engine/training/objectives/")
"""Where kinds and objectives are declared, each in a file of its own."""


def named_in_comparisons(tree: ast.Module, names: set[str]) -> Iterator[tuple[int, str]]:
    """Yield (line, name) wherever a comparison, or a pattern of `match`, has one of the names as a constant."""
    for node in ast.walk(tree):
        compared: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            compared = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            compared = [node.value]
        nested = [one.elts for one in compared if isinstance(one, ast.Tuple | ast.List | ast.Set)]
        for one in (*compared, *(part for parts in nested for part in parts)):
            if isinstance(one, ast.Constant) and one.value in names:
                yield one.lineno, str(one.value)


def test_no_module_compares_the_name_of_a_kind() -> None:
    """What follows from a kind is a field of its record, so that another kind needs no other module."""
    names = {*KINDS, *(made.label for made in KINDS.values()), *OBJECTIVES}
    found = {}
    for path in sorted(path for package in ("engine", "remdm_tui") for path in (ROOT / package).rglob("*.py")):
        where = path.relative_to(ROOT).as_posix()
        if not where.startswith(OWN_MODULES) and (
            lines := list(named_in_comparisons(ast.parse(path.read_text("utf-8")), names))
        ):
            found[where] = lines
    assert found == {}


def test_names_in_comparisons_are_found() -> None:
    code = """
if kind == "dit" or "SEDD" != label or objective in ("ar", "other") or (causal if kind else "grid"):
    match kind:
        case "d3pm" | "other":
            pass
"""
    names = {*KINDS, "SEDD", *OBJECTIVES}
    assert list(named_in_comparisons(ast.parse(code), names)) == [(2, "dit"), (2, "SEDD"), (2, "ar"), (4, "d3pm")]
