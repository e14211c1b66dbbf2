"""SSD-LM's objective against its formula, written out over the library's own network, and what its runs leave."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.models import load_model
from engine.models.dit import DITConfig
from engine.models.protocol import has_simplex
from engine.models.simplex_roberta import SimplexRoberta
from engine.models.ssd_lm_layout import library_network
from engine.sampling import rng
from engine.training.config_file import read_config
from engine.training.data import Corpus, prepare
from engine.training.export import best_model, export_best, export_hub
from engine.training.loop import Trainer
from engine.training.losses import EPS, antithetic_times
from engine.training.objectives import ssd_lm
from engine.training.objectives.ssd_lm import SSDLM
from tests.engine.texts import VOCABULARY, write_texts

SHAPE = DITConfig(
    vocab_size=31, hidden_size=16, n_blocks=2, n_heads=2, cond_dim=8, length=14, mask_id=30, time_conditioning=False
)
CPU = torch.device("cpu")


def lively(shape: DITConfig = SHAPE) -> SimplexRoberta:
    """A network all of whose parts matter."""
    torch.manual_seed(3)
    model = SimplexRoberta(shape).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return model


def drawn(count: int, length: int = SHAPE.length) -> tuple[Tensor, Tensor, Tensor]:
    noise = torch.Generator().manual_seed(5)
    tokens = torch.randint(30, (count, length), generator=noise)
    return tokens, antithetic_times(count, noise), torch.rand(count, length, generator=noise)


def normals(key: int, position: int, count: int) -> list[float]:
    """Box-Muller in plain Python, two of each hash."""
    row, found = int(rng.uniform(key, position) * 2.0**53), list[float]()
    for pair in range((count + 1) // 2):
        bits = rng.mix(row + (pair + 1) * rng.GOLDEN)
        radius = math.sqrt(-2 * math.log(((bits >> 32) + 0.5) / 2**32))
        angle = 2 * math.pi * (bits & 0xFFFFFFFF) / 2**32
        found += [radius * math.cos(angle), radius * math.sin(angle)]
    return found[:count]


def plain(
    model: SimplexRoberta, tokens: Tensor, t: Tensor, chance: Tensor, block: int, steps: int, k: float, late: int = 0
) -> list[float]:
    """The loss as it is published, one row at a time; late: steps by which the noise is taken too late."""

    def f(step: int) -> float:
        return math.cos((step / steps + 1e-4) / (1 + 1e-4) * math.pi / 2) ** 2

    network: Any = library_network(model)
    words, found = network.get_input_embeddings().weight, []
    for row, time, u in zip(tokens, t.tolist(), chance.double(), strict=True):
        context = 1 + math.floor(float(u[0]) * (len(row) - block))
        step = min(math.floor((time - EPS) / (1 - EPS) * steps), steps - 1) + 1
        level = f(step + late) / f(0)
        key = int(u[1] * 2**24) * 2**24 + int(u[-1] * 2**24)
        inside = row[context : context + block]
        x_0 = 2 * k * torch.nn.functional.one_hot(inside, model.vocab_size) - k
        z = torch.tensor([normals(key, i, model.vocab_size) for i in range(block)])
        x_t = math.sqrt(level) * x_0 + math.sqrt(1 - level) * k * z
        embedded = x_t.softmax(-1) @ model.embed_sum.weight.T + model.timestep(torch.tensor([step / steps]))
        logits = network(inputs_embeds=torch.cat((words[row[:context]], embedded))[None]).logits[0, context:].double()
        logits[:, model.mask_id] = -torch.inf
        found.append(float(-logits.log_softmax(-1).gather(1, inside[:, None]).mean()))
    return found


@pytest.mark.parametrize(("block", "steps", "k"), [(5, 1000, 5.0), (3, 7, 1.0), (13, 4, 5.0)])
def test_the_loss_is_that_of_the_formula(block: int, steps: int, k: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssd_lm, "TOGETHER", 4)
    model, (tokens, t, chance) = lively(), drawn(10)
    made = SSDLM(block, steps, k)
    with torch.no_grad():
        found = made.loss(model, tokens, t, chance)
        assert torch.equal(made.bound(model, tokens, t, chance), found)
        expected = plain(model, tokens, t, chance, block, steps, k)
        assert found.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)
        for other in (plain(model, tokens, t, chance, block, steps, 2 * k),
                      plain(model, tokens, t.flip(0), chance, block, steps, k)):  # fmt: skip
            assert max(abs(a - b) for a, b in zip(found.tolist(), other, strict=True)) > 0.05


def test_noise_that_is_a_step_late_is_distinguished() -> None:
    model, (tokens, t, chance) = lively(), drawn(10)
    with torch.no_grad():
        found = SSDLM(5, 7).loss(model, tokens, t, chance)
        late = plain(model, tokens, t, chance, 5, 7, 5.0, late=-1)
    assert max(abs(a - b) for a, b in zip(found.tolist(), late, strict=True)) > 0.05


def test_contexts_and_times_are_uniform() -> None:
    _, t, chance = drawn(60_000, 9)
    made = SSDLM(4, 5)
    assert torch.bincount((made.times(t) * 5).round().long()).tolist() == [0] + [12_000] * 5
    contexts = torch.bincount(made.contexts(chance))
    assert contexts[0] == 0
    assert len(contexts) == 6
    assert (contexts[1:] - 12_000).abs().max() < 500
    ends = torch.tensor([[0.0], [1 - 2.0**-24]]).expand(-1, 256)
    assert SSDLM().contexts(ends).tolist() == [1, 231]


def test_what_lies_behind_the_block_and_in_it_is_not_seen() -> None:
    model, (tokens, t, chance) = lively(), drawn(6)
    made = SSDLM(4)
    first = made.contexts(chance)[:, None]
    behind = torch.arange(SHAPE.length) >= first + 4
    assert behind.any()
    with torch.no_grad():
        found = made.loss(model, tokens, t, chance)
        changed = made.loss(model, torch.where(behind, (tokens + 7) % 30, tokens), t, chance)
        before = torch.arange(SHAPE.length) < first
        other = made.loss(model, torch.where(before, (tokens + 7) % 30, tokens), t, chance)
        columns = first + torch.arange(4)
        shares = torch.rand(6, 4, 31).softmax(-1)
        inside = tokens.scatter(1, columns, 3)
        hidden = [model.encode(some, first[:, 0], shares, t) for some in (tokens, inside)]
    torch.testing.assert_close(changed, found)
    assert (other - found).abs().min() > 1e-3
    assert torch.equal(*hidden)


def test_every_parameter_is_trained() -> None:
    model, (tokens, t, chance) = lively().train(), drawn(8)
    torch.autograd.backward(SSDLM(5).loss(model, tokens, t, chance).mean())
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


CONFIG = f"""
objective = "ssd-lm"
ssd_lm = {{block = 4, steps = 50}}
model = {{vocab_size = {VOCABULARY}, hidden_size = 16, n_blocks = 2, n_heads = 2, length = 14, dropout = 0.0}}
optim = {{name = "muon", lr = 1e-2, matrix_lr = 2e-2, warmup = 2}}
run = {{steps = 30, batch = 16, ema = 0.8, validate_every = 15, validation_windows = 32, precision = "float32"}}
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    home = tmp_path_factory.mktemp("texts")
    return prepare([write_texts(home)], VOCABULARY, home / "cache")


def test_a_run_learns_and_both_readers_open_what_it_leaves(corpus: Corpus, tmp_path: Path) -> None:
    trainer = Trainer(read_config(CONFIG), corpus, tmp_path, CPU)
    before = trainer.validate()
    list(trainer.run())
    assert trainer.best is not None
    assert trainer.best < before - 0.5
    export_best(trainer)
    home = export_hub(trainer)
    trained, _ = best_model(trainer)
    assert isinstance(trained, SimplexRoberta)
    tokens, first = torch.from_numpy(corpus.spread("validation", 14, 2)), torch.tensor([6, 6])
    shares, t = (3 * torch.randn(2, 4, VOCABULARY)).softmax(-1), torch.tensor([0.3, 0.9])
    where = torch.zeros(2, 10, dtype=torch.bool).index_fill(1, torch.arange(6, 10), True)
    with torch.no_grad():
        expected = trained.eval().project(trained.encode(tokens[:, :10], first, shares, t).flatten(0, 1))
    for place, tolerance in ((home, 1e-4), (tmp_path / "model", 0.05)):
        model = load_model(str(place), "cpu", "float32")
        assert (model.info.kind, model.max_length, has_simplex(model)) == ("SSD-LM", 14, True)
        assert model.mask_id == corpus.mask_id
        assert model.codec.decode(tokens[0].tolist()) == corpus.tokenizer.decode(tokens[0].tolist())
        hidden = model.encode_simplex(tokens[:, :10], t, where, model.mix(shares.flatten(0, 1), 0))
        torch.testing.assert_close(model.project(hidden), expected, rtol=tolerance, atol=tolerance)
    assert float(expected.std()) > 0.1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("block = 4", "block = 14"), r"ssd_lm\.block of 14 leaves no context in 14 tokens"),
        (("block = 4", "block = 0"), r"ssd_lm\.block is too small"),
        (("steps = 50", "k = 0.0"), r"ssd_lm\.k is too small"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: tuple[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        _ = read_config(CONFIG.replace(*change, 1)).kind


def test_it_begins_with_no_existing_model() -> None:
    with pytest.raises(ValueError, match=r"objective = 'ssd-lm' begins with no existing model: leave out run\.init"):
        read_config("objective = 'ssd-lm'\nrun = {init = 'demo'}")
