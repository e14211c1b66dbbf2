"""The network of a grid: how it sees cells, its files, and sampling."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import engine
from engine.data.special_tokens import MASK
from engine.models import checkpoint, load_model
from engine.models.grid import GridConfig, GridDIT, GridSampler, related
from engine.records import GridLayout
from engine.strategies import REGISTRY
from engine.sudoku.rules import UNITS, conflicts
from engine.training.tokenizers import alphabet_tokenizer

SHAPE = GridConfig(
    vocab_size=6, hidden_size=16, n_blocks=2, n_heads=2, length=16, mask_id=5,
    rows=4, columns=4, box_rows=2, box_columns=2, loops=3,
)  # fmt: skip
TOKENS = torch.tensor([[5, 1, 2, 5] * 4, [0, 5, 5, 3] * 4])
T = torch.tensor([0.5, 0.5])


def network(shape: GridConfig = SHAPE) -> GridDIT:
    noise = torch.Generator().manual_seed(1)
    model = GridDIT(shape)
    for name, p in model.named_parameters():
        p.data = torch.randn(p.shape, generator=noise) * 0.3 + (1.0 if "norm" in name else 0.0)
    return model.eval().requires_grad_(False)


def exported(home: Path) -> Path:
    checkpoint.export_model(network(), alphabet_tokenizer("12345").to_str(), home, torch.float32, kind="grid")
    return home


def test_cells_are_related_as_the_units_of_a_sudoku_say() -> None:
    shape = GridConfig(vocab_size=10, hidden_size=8, n_heads=2, length=81, mask_id=9)
    kinds = related(GridDIT(shape).places).numpy()
    for number, units in enumerate(np.split(UNITS, 3), 1):
        same = np.zeros((81, 81), bool)
        for unit in units:
            same[np.ix_(unit, unit)] = True
        assert np.array_equal(kinds[..., number], same)
    assert np.array_equal(kinds[..., 0], np.eye(81, dtype=bool))


def test_boxes_may_be_cut_off_by_the_edge() -> None:
    assert GridLayout(2, 5, 2, 2).boxes.tolist() == [[0, 0, 1, 1, 2]] * 2


@pytest.mark.parametrize("length", [81, 40])
def test_tokens_that_repeat_are_those_that_conflict(length: int) -> None:
    rng = np.random.default_rng(0)
    grids = rng.integers(1, 10, (20, 81)).astype(np.uint8)
    shown = rng.random(grids.shape) < 0.4
    shown[:, length:] = False
    expected = conflicts(np.where(shown, grids, 0))
    layout = GridConfig(vocab_size=10, n_heads=2, hidden_size=8, length=81, mask_id=9).layout
    found = [layout.repeats(grid[:length], some[:length]) for grid, some in zip(grids, shown, strict=True)]
    assert np.array_equal(found, expected[:, :length])
    assert expected.any()
    assert not layout.repeats(grids[0], np.zeros(81, bool)).any()
    assert not GridLayout(9, 9, 3, 3).repeats(grids[0], shown[0]).any()


@pytest.mark.parametrize("claim", [{"rows": 0}, {"columns": 65}, {"box_rows": True}])
def test_a_layout_that_cannot_be_is_refused(claim: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be a whole number in 1 to 64"):
        GridLayout(**{"rows": 9, "columns": 9, "box_rows": 3, "box_columns": 3} | claim)


def test_loops_apply_the_same_blocks_again() -> None:
    model, long = network(), network(replace(SHAPE, n_blocks=6, loops=1))
    for i, block in enumerate(long.blocks):
        block.load_state_dict(model.blocks[i % 2].state_dict())
    long.relation_bias = nn.Parameter(model.relation_bias.repeat(3, 1, 1), requires_grad=False)
    for name in ("vocab_embed", "place_embed", "output_layer"):
        getattr(long, name).load_state_dict(getattr(model, name).state_dict())
    torch.testing.assert_close(model(TOKENS, T), long(TOKENS, T))


def test_every_relation_changes_the_prediction() -> None:
    model = network()
    before = model(TOKENS, T)
    for number in range(4):
        model.relation_bias[:, :, number] += 1
        assert not torch.allclose(model(TOKENS, T), before)
        model.relation_bias[:, :, number] -= 1


def test_a_shadow_is_the_mask_that_cannot_see_its_own_token() -> None:
    model = network(replace(SHAPE, n_blocks=1, loops=1))
    where = torch.zeros_like(TOKENS, dtype=torch.bool)
    where[0, 5] = where[1, 3] = True
    block = torch.zeros_like(where)
    block[:, 3:6] = True
    hidden = model.encode_shadow(TOKENS, T, where, block)
    # shadows see each other too: with one alone, in one layer, it is the text with a mask in its place and behind it
    alone = model.encode_shadow(TOKENS, T, where, where)
    assert hidden.shape == alone.shape == (2, 16)
    masks = model.encode(TOKENS.masked_fill(where, 5), T)[where]
    torch.testing.assert_close(alone, masks)
    at_masks = model.encode_shadow(TOKENS, T, TOKENS == 5, where)
    torch.testing.assert_close(at_masks, model.encode(TOKENS, T)[TOKENS == 5])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_sampler_is_the_network(dtype: torch.dtype) -> None:
    expected = network()(TOKENS, T)
    sampler = GridSampler(network(), dtype)
    found = sampler.project(sampler.encode(TOKENS, T).flatten(0, 1)).view(expected.shape).float()
    torch.testing.assert_close(found, expected, atol=1e-5 if dtype == torch.float32 else 0.3, rtol=0.01)


def test_a_grid_is_a_model_like_any_other(tmp_path: Path) -> None:
    model = load_model(str(exported(tmp_path)), "cpu", "float32")
    torch.testing.assert_close(model.project(model.encode(TOKENS, T).flatten(0, 1)), network()(TOKENS, T).flatten(0, 1))
    assert model.info.layout == GridLayout(4, 4, 2, 2)
    assert model.info.pieces == ("1", "2", "3", "4", "5", MASK)
    assert model.prompt("12[MASK][MASK]5") == [0, 1, 5, 5, 4]
    assert model.codec.decode([0, 4, 2]) == "153"


@pytest.mark.parametrize("name", [name for name, made in REGISTRY.items() if "quality" not in made.reads])
def test_every_strategy_fills_it(name: str, tmp_path: Path) -> None:
    model = load_model(str(exported(tmp_path)), "cpu", "float32")
    ids = engine.sample(model, engine.make_strategy(name), steps=16, length=16, count=2, seed=0)
    assert ids.shape == (2, 16)
    assert not (ids == model.mask_id).any()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"length": 15}, "length must be 16"),
        ({"rows": 0}, "rows must be a whole number"),
        ({"columns": 1 << 20}, "columns must be a whole number in 1 to 64"),
        ({"loops": 2.5}, "loops must be a whole number"),
        ({"time_conditioning": True}, "takes no noise level"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(fields: dict[str, object], sentence: str, tmp_path: Path) -> None:
    home = exported(tmp_path)
    (home / "config.json.sha256").unlink()
    config = json.loads((home / "config.json").read_text(encoding="utf-8"))
    (home / "config.json").write_text(json.dumps(config | fields), encoding="utf-8")
    with pytest.raises(ValueError, match=sentence):
        load_model(str(home), "cpu")
