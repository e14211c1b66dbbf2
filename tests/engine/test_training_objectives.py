"""What each objective minimises, against plain sums over a toy's whole table of probabilities."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

import engine
from engine.files.run_layout import MODEL
from engine.models import checkpoint, load_model
from engine.models.causal_dit import CausalDIT
from engine.models.dit import DITConfig
from engine.models.loading import Discrete
from engine.models.time_conditioned import ScoreDIT
from engine.sampling.predictors import sample_by_predictor
from engine.training.config_file import read_config
from engine.training.data import Corpus, prepare
from engine.training.export import export_best, export_hub
from engine.training.loop import Trainer
from engine.training.losses import mask_tokens
from engine.training.noise import LogLinear, masked
from engine.training.objectives import OBJECTIVES, make_objective
from engine.training.objectives.ar import AR
from engine.training.objectives.d3pm import D3PMSection
from engine.training.objectives.sedd import SEDD
from tests.engine.texts import VOCABULARY, write_texts

SMALL = DITConfig(vocab_size=7, hidden_size=16, n_blocks=2, n_heads=2, cond_dim=8, length=12, mask_id=6)
NOISE = torch.Generator()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_causal(config: DITConfig = SMALL) -> CausalDIT:
    """A network none of whose parameters is zero."""
    torch.manual_seed(4)
    model = CausalDIT(config)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return model


def test_the_loss_from_left_to_right_is_the_chain_rule() -> None:
    model, bos = random_causal().requires_grad_(False), 2
    tokens = torch.randint(6, (3, 9), generator=seeded(1))
    expected = []
    for row in tokens.tolist():
        total = 0.0
        for i, token in enumerate(row):
            logits = model(torch.tensor([[bos, *row[:i]]]))[0, -1].double()
            logits[6] = -torch.inf
            total -= float(logits.log_softmax(-1)[token])
        expected.append(total / len(row))
    loss = AR(bos).loss(model, tokens, torch.ones(3), NOISE)
    assert loss.tolist() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(loss, AR(bos).bound(model, tokens, torch.ones(3), NOISE))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    home = tmp_path_factory.mktemp("texts")
    return prepare([write_texts(home)], VOCABULARY, home / "cache")


def tiny_run(objective: str, corpus: Corpus, home: Path) -> Trainer:
    config = read_config(f"""
objective = "{objective}"
model = {{vocab_size = {VOCABULARY}, hidden_size = 16, n_blocks = 1, n_heads = 2, cond_dim = 8, length = 16}}
optim = {{lr = 1e-2, warmup = 2}}
ssd_lm = {{block = 4}}
run = {{steps = 4, batch = 4, validate_every = 2, validation_windows = 6}}
""")
    return Trainer(config, corpus, home, torch.device("cpu"))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_was_trained_is_exported_loaded_and_sampled(objective: str, corpus: Corpus, tmp_path: Path) -> None:
    trainer = tiny_run(objective, corpus, tmp_path)
    assert len(list(trainer.run())) == 4
    export_best(trainer)
    kind, _, _ = checkpoint.read_model_config(tmp_path / MODEL / "config.json")
    assert kind == trainer.objective.kind
    model = load_model(str(tmp_path / MODEL), "cpu")
    assert model.causal == (objective == "ar")
    ids = engine.sample(model, engine.make_strategy("left-to-right"), steps=12, length=12, count=2)
    assert not (ids == model.mask_id).any()


def test_an_exported_d3pm_network_knows_in_how_many_steps_it_was_trained(corpus: Corpus, tmp_path: Path) -> None:
    trainer = tiny_run("d3pm", corpus, tmp_path)
    list(trainer.run())
    changed = msgspec.structs.replace(trainer.config, d3pm=D3PMSection(steps=40, subs_masking=True))
    trainer.config = changed
    export_best(trainer)
    for home in (tmp_path / MODEL, export_hub(trainer)):
        assert load_model(str(home), "cpu").loaded.discrete == Discrete(40, subs_masking=True)


def test_the_exported_causal_network_computes_what_was_validated(corpus: Corpus, tmp_path: Path) -> None:
    trainer = tiny_run("ar", corpus, tmp_path)
    list(trainer.run())
    export_best(trainer)
    model, tokens = load_model(str(tmp_path / MODEL), "cpu", "float32"), torch.from_numpy(
        corpus.spread("validation", 16, 4)
    )  # fmt: skip
    logits = model.project(model.encode(tokens, torch.ones(4)).flatten(0, 1)).double()
    logits[:, model.mask_id] = -torch.inf
    found = -logits.log_softmax(-1).gather(1, tokens.view(-1, 1)).view(4, 16).mean(1)
    plain = checkpoint.read_network(tmp_path / MODEL)
    expected = AR(corpus.end_id).bound(plain, tokens, torch.ones(4), NOISE)
    torch.testing.assert_close(found.float(), expected, atol=1e-5, rtol=1e-5)


def test_what_sedd_trains_is_what_its_reader_scores(corpus: Corpus, tmp_path: Path) -> None:
    """The bound from the loaded network's own scores, as the paper writes it."""
    trainer = tiny_run("sedd", corpus, tmp_path)
    list(trainer.run())
    export_best(trainer)
    network = load_model(str(tmp_path / MODEL), "cpu", "float32").network
    assert isinstance(network, ScoreDIT)
    assert network.time_conditioned
    tokens, t = torch.from_numpy(corpus.spread("validation", 16, 3)), torch.tensor([0.2, 0.5, 0.9])
    noised, hidden = mask_tokens(tokens, masked(LogLinear(), t.double()).float(), corpus.mask_id, seeded(3))
    sigma, rate = LogLinear().sigma(t.double()), LogLinear().rate(t.double())
    scores = network.scores(noised, sigma.float()).double()[..., : corpus.mask_id]
    ratio = 1 / torch.expm1(sigma)[:, None]
    own = scores.gather(2, tokens[..., None])[..., 0]
    entropy = scores.sum(-1) - ratio * own.log() + ratio * (ratio.log() - 1)
    expected = rate * (entropy * hidden).sum(1) / 16
    plain = checkpoint.read_network(tmp_path / MODEL)
    found = SEDD().bound(plain, tokens, t, seeded(3))
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
    ids = sample_by_predictor(
        load_model(str(tmp_path / MODEL), "cpu"), "analytic", steps=6, length=12, count=2, seed=0
    ).tokens
    assert not (ids == corpus.mask_id).any()


def test_gradients_from_left_to_right_are_those_of_finite_differences() -> None:
    model, tokens, step = random_causal(), torch.tensor([[0, 1], [1, 1]]), 1e-2
    torch.autograd.backward(AR(2).loss(model, tokens, torch.ones(2), NOISE).mean())
    bias = model.output_layer.linear.bias
    assert bias.grad is not None
    for i, gradient in enumerate(bias.grad.tolist()):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                bias[i] += sign * step
                ends.append(AR(2).loss(model, tokens, torch.ones(2), NOISE).mean().item())
                bias[i] -= sign * step
        assert gradient == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=2e-4)
    assert bias.grad.abs().max() > 0.1


def test_importance_sampling_has_no_curriculum() -> None:
    config = read_config("mdlm = {times = 'importance'}\nrun = {curriculum = 5}")
    with pytest.raises(ValueError, match=r"run\.curriculum takes uniform times"):
        make_objective(config, 0)


def test_only_networks_that_are_to_get_the_noise_level_do() -> None:
    conditioned = {name: read_config(f"objective = '{name}'").network(8191).time_conditioning for name in OBJECTIVES}
    assert conditioned == {"mdlm": False, "sedd": True, "d3pm": True, "ar": False, "ssd-lm": False}
    assert read_config("model = {time_conditioning = true}").network(8191).time_conditioning
