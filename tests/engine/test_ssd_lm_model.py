"""SSD-LM's layout: a RoBERTa with the layers of the simplex and of the time in files of their own."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from engine.models import TextModel, load_model
from engine.models.protocol import has_simplex
from tests.engine.simplex import ROOM, VOCABULARY, TinySsdLM, write_ssd_lm


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinySsdLM:
    return write_ssd_lm(tmp_path_factory.mktemp("ssd-lm"))


@pytest.fixture
def own(tmp_path: Path) -> TinySsdLM:
    return write_ssd_lm(tmp_path / "ssd-lm", prefix="")


def logits_of(model: TextModel, context: torch.Tensor, simplex: torch.Tensor, progress: float) -> torch.Tensor:
    rows, block = simplex.shape[:2]
    tokens = torch.cat((context, torch.full((rows, block), model.mask_id)), 1)
    where = torch.zeros(tokens.shape, dtype=torch.bool)
    where[:, context.shape[1] :] = True
    mixed = sum(model.mix(simplex.flatten(0, 1)[:, i : i + 70], i) for i in range(0, VOCABULARY, 70))
    assert isinstance(mixed, torch.Tensor)
    hidden = model.encode_simplex(tokens, torch.full((rows,), progress), where, mixed)
    return model.project(hidden).view(rows, block, -1)


@pytest.mark.parametrize("context", [0, 9])
def test_logits_are_those_of_the_formula(tiny: TinySsdLM, context: int) -> None:
    model = load_model(str(tiny.home), "cpu")
    torch.manual_seed(3)
    words, simplex = torch.randint(5, VOCABULARY, (2, context)), (5 * torch.randn(2, 4, VOCABULARY)).softmax(-1)
    got = logits_of(model, words, simplex, 0.3)
    expected = tiny.logits(words, simplex, 0.3)
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


def test_a_loaded_model_says_what_it_is(tiny: TinySsdLM) -> None:
    model = load_model(str(tiny.home), "cpu")
    layers = tiny.embed_sum.numel() + tiny.timestep.numel() + tiny.bias.numel()
    assert has_simplex(model)
    assert (model.info.kind, model.max_length) == ("SSD-LM", ROOM)
    assert model.info.parameters == tiny.plain.num_parameters() + layers
    assert any("ordinary masked LM" in note for note in model.info.notes)


def test_the_names_need_no_prefix(own: TinySsdLM) -> None:
    assert has_simplex(load_model(str(own.home), "cpu"))


def test_without_the_two_files_it_is_an_ordinary_masked_language_model(own: TinySsdLM) -> None:
    for name in ("embed_sum_layer.pt", "timestep_layer.pt"):
        (own.home / name).unlink()
    model = load_model(str(own.home), "cpu")
    assert model.info.kind == "RobertaForMaskedLM"
    assert not has_simplex(model)


@pytest.mark.parametrize(
    ("missing", "there"), [("embed_sum_layer.pt", "timestep_layer.pt"), ("timestep_layer.pt", "embed_sum_layer.pt")]
)
def test_one_file_without_the_other_is_refused(own: TinySsdLM, missing: str, there: str) -> None:
    (own.home / missing).unlink()
    with pytest.raises(ValueError, match=f"has {there}, but not {missing}"):
        load_model(str(own.home), "cpu")


def test_a_directory_with_the_layers_alone_lacks_weights(own: TinySsdLM) -> None:
    (own.home / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no weights: looked for model\.safetensors"):
        load_model(str(own.home), "cpu")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"weight": torch.zeros(32, 299)}, r"embed_sum_layer\.pt: .*has shape \[32, 299\], expected \[32, 300\]"),
        ({"weight": torch.zeros(32, 300), "bias": torch.zeros(32)}, r"embed_sum_layer\.pt: .*bias is unexpected"),
        ({"wait": torch.zeros(32, 300)}, r"embed_sum_layer\.pt: .*weight is missing \(nearest: wait\)"),
        ({"weight": torch.zeros(32, 300, dtype=torch.long)}, r"embed_sum_layer\.pt: .*is of torch\.int64"),
        ({}, r"embed_sum_layer\.pt holds no tensors by name"),
    ],
)
def test_a_layer_that_does_not_fit_is_named_with_its_file(
    own: TinySsdLM, layer: dict[str, torch.Tensor], message: str
) -> None:
    torch.save(layer, own.home / "embed_sum_layer.pt")
    with pytest.raises(ValueError, match=message):
        load_model(str(own.home), "cpu")


class Attack:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.trace)!r}, 'w')",)


def test_a_layer_runs_no_code(own: TinySsdLM, tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    torch.save({"weight": Attack(trace)}, own.home / "timestep_layer.pt")
    with pytest.raises(ValueError, match=r"timestep_layer\.pt"):
        load_model(str(own.home), "cpu")
    (own.home / "timestep_layer.pt").write_bytes(pickle.dumps(Attack(trace)))
    with pytest.raises(ValueError, match=r"timestep_layer\.pt"):
        load_model(str(own.home), "cpu")
    assert not trace.exists()
