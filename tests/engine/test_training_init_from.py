"""A run may begin with the weights of a model that there is."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import msgspec
import pytest
import torch

from engine.data.special_tokens import MASK
from engine.files.checksums import checksum
from engine.models.checkpoint import export_model
from engine.models.dit import DIT
from engine.models.readers.training_run import averaged
from engine.training.config import TrainConfig
from engine.training.config_file import read_config
from engine.training.data import Corpus, prepare
from engine.training.export import best_model, export_best, export_hub
from engine.training.loop import Trainer
from engine.training.objectives import OBJECTIVES
from tests.engine.judges import save_gpt2
from tests.engine.texts import VOCABULARY, write_texts

CPU = torch.device("cpu")
BEGINNERS = [name for name, entry in OBJECTIVES.items() if entry.begins]
WHOLE = f"""
[model]
vocab_size = {VOCABULARY}
hidden_size = 16
n_blocks = 2
n_heads = 2
cond_dim = 8
length = 12
"""


def config(objective: str, init: Path | str | None, model: str = "", steps: int = 20) -> TrainConfig:
    started = f"init = {str(init)!r}" if init else ""
    return read_config(f"""
objective = "{objective}"
{model or ("" if init else WHOLE)}
[optim]
lr = 2e-2
warmup = 2
[run]
{started}
steps = {steps}
batch = 8
ema = 0.5
checkpoint_every = 10
validate_every = 10
validation_windows = 8
precision = "float32"
""")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def corpus(text: Path) -> Corpus:
    return prepare([text], VOCABULARY, text.parent / "cache")


@pytest.fixture(scope="module")
def trained(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trainer]:
    """A finished run of each objective."""
    found = {}
    for objective in BEGINNERS:
        found[objective] = Trainer(config(objective, None), corpus, tmp_path_factory.mktemp(objective) / "run", CPU)
        list(found[objective].run())
        export_best(found[objective])
    return found


def exact(trainer: Trainer, home: Path) -> Path:
    """The model that a run ended with, in its own layout and unrounded."""
    model = averaged(trainer.objective.kind, trainer.model.config, trainer.ema.state_dict())
    export_model(model, trainer.corpus.tokenizer.to_str(), home, torch.float32, kind=trainer.objective.kind)
    return home


@pytest.mark.parametrize("layout", ["own", "hub"])
@pytest.mark.parametrize("objective", BEGINNERS)
def test_it_begins_with_exactly_these_tensors(
    objective: str, layout: str, trained: dict[str, Trainer], corpus: Corpus, tmp_path: Path
) -> None:
    before = trained[objective]
    home = exact(before, tmp_path / "model") if layout == "own" else export_hub(before)
    expected = before.model if layout == "own" else best_model(before)[0]
    started = Trainer(config(objective, home), corpus, tmp_path / "run", CPU)
    assert started.init_model == str(home)
    its = started.model.state_dict()
    averages = before.ema.state_dict()
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(its[name], averages.get(name, tensor) if layout == "own" else tensor, rtol=0, atol=0)


def test_it_goes_on_from_there(trained: dict[str, Trainer], corpus: Corpus, tmp_path: Path) -> None:
    home = exact(trained["mdlm"], tmp_path / "model")
    started = Trainer(config("mdlm", home, steps=1), corpus, tmp_path / "begun", CPU)
    fresh = Trainer(config("mdlm", None, steps=1), corpus, tmp_path / "fresh", CPU)
    assert started.validate() == trained["mdlm"].validate()
    (step,) = started.run()
    assert step.loss < next(iter(fresh.run())).loss - 0.1


def test_a_score_network_begins_as_the_same_denoiser_with_scores_that_add_up(
    trained: dict[str, Trainer], corpus: Corpus, tmp_path: Path
) -> None:
    source = trained["mdlm"].model
    assert isinstance(source, DIT)
    with torch.no_grad():
        # as a softmax leaves it: far from a distribution, and by how much depends on the position
        source.output_layer.linear.weight += torch.linspace(-1, 1, 16)
        source.output_layer.linear.bias += 5
    export_model(source, corpus.tokenizer.to_str(), tmp_path / "model", torch.float32)
    model = Trainer(config("sedd", tmp_path / "model"), corpus, tmp_path / "run", CPU).model
    assert isinstance(model, DIT)
    assert model.time_conditioned
    assert not source.time_conditioned
    rows = torch.from_numpy(corpus.spread("validation", 12, 32))
    where = torch.rand(rows.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    noised, ordinary = rows.masked_fill(where, model.mask_id), torch.arange(VOCABULARY) != model.mask_id

    def logits(network: DIT, t: float) -> torch.Tensor:
        with torch.no_grad():
            return network.eval()(noised, torch.full((32,), t))[where][:, ordinary]

    def excess(found: torch.Tensor) -> torch.Tensor:
        return found.logsumexp(-1) - math.log(VOCABULARY - 1)

    expected = logits(source, 0.5)
    assert float(excess(expected).abs().mean()) > 3
    for t in (0.01, 0.5, 1.0):
        found = logits(model, t)
        torch.testing.assert_close(found.softmax(-1), expected.softmax(-1), rtol=1e-4, atol=1e-6)
        assert float(excess(found).abs().mean()) < 0.1


def test_scores_are_not_touched(trained: dict[str, Trainer], corpus: Corpus, tmp_path: Path) -> None:
    home = exact(trained["sedd"], tmp_path / "model")
    head = Trainer(config("sedd", home), corpus, tmp_path / "run", CPU).model.output_layer.linear
    kept = trained["sedd"].ema.state_dict()["output_layer.linear.weight"]
    torch.testing.assert_close(head.weight, kept, rtol=0, atol=0)


def test_noise_levels_can_be_distinguished_after_some_steps(
    trained: dict[str, Trainer], corpus: Corpus, tmp_path: Path
) -> None:
    trainer = Trainer(config("sedd", exact(trained["mdlm"], tmp_path / "model")), corpus, tmp_path / "run", CPU)
    model = trainer.model
    assert isinstance(model, DIT)
    tokens = torch.full((1, 12), model.mask_id)

    def apart() -> float:
        with torch.no_grad():
            low, high = (model.eval()(tokens, torch.tensor([t])) for t in (0.1, 0.9))
        return float((low - high).abs().max())

    assert apart() == 0
    list(trainer.run())
    assert apart() > 1e-4


def test_shape_and_tokenizer_are_the_models(trained: dict[str, Trainer], text: Path) -> None:
    home = trained["mdlm"].home / "model"
    found = config("sedd", home)
    assert found.model == msgspec.structs.replace(trained["mdlm"].config.model, dropout=0.1)
    assert found.data.tokenizer == str(home)
    corpus = prepare([text], VOCABULARY, text.parent / "spoken", tokenizer=found.data.tokenizer)
    assert corpus.tokenizer.get_vocab() == trained["mdlm"].corpus.tokenizer.get_vocab()
    own = prepare([text], VOCABULARY, text.parent / "cache").splits["train"]
    # typography is unified as it was when that tokenizer was trained
    assert corpus.splits["train"].tolist() == own.tolist()
    assert read_config("[run]\ninit = 'demo'").data.tokenizer == "demo"
    assert read_config("[run]\ninit = 'demo'\n[model]\nlength = 128").model.length == 128


def test_a_model_that_is_named_by_its_file_has_the_tokenizer_beside_it(
    trained: dict[str, Trainer], corpus: Corpus, tmp_path: Path
) -> None:
    home = exact(trained["mdlm"], tmp_path / "model")
    found = config("mdlm", home / "model.safetensors", steps=1)
    assert found.data.tokenizer == str(home / "tokenizer.json")
    assert found.model.vocab_size == corpus.tokenizer.get_vocab_size()
    Trainer(found, corpus, tmp_path / "begun", CPU)
    (home / "tokenizer.json").write_text((home / "tokenizer.json").read_text().replace(MASK, "<other>"))
    checksum(home / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="has another vocabulary than the data"):
        Trainer(found, corpus, tmp_path / "other", CPU)


def test_what_cannot_be_begun_with_is_reported(trained: dict[str, Trainer], corpus: Corpus, tmp_path: Path) -> None:
    mdlm, ar = trained["mdlm"].home / "model", trained["ar"].home / "model"
    with pytest.raises(ValueError, match=r"the weights do not fit the configuration: .*has shape .*16.*expected .*24"):
        Trainer(config("mdlm", mdlm, "[model]\nhidden_size = 24"), corpus, tmp_path / "a", CPU)
    with pytest.raises(ValueError, match=r"the weights do not fit the configuration: .* is missing"):
        Trainer(config("mdlm", ar), corpus, tmp_path / "b", CPU)
    with pytest.raises(ValueError, match="unknown model 'dmeo': choose demo"):
        config("mdlm", "dmeo")
    with pytest.raises(ValueError, match="holds no tensors of a diffusion transformer"):
        config("mdlm", save_gpt2(tmp_path / "gpt2"))
    other = exact(trained["mdlm"], tmp_path / "other")
    respelled = json.loads((other / "tokenizer.json").read_text())
    vocab = respelled["model"]["vocab"]
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
    (other / "tokenizer.json").write_text(json.dumps(respelled))
    checksum(other / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"other has another vocabulary than the data: leave data.tokenizer out"):
        Trainer(config("mdlm", other), corpus, tmp_path / "c", CPU)


def test_going_on_needs_it_no_more_and_notices_another(
    trained: dict[str, Trainer], corpus: Corpus, tmp_path: Path
) -> None:
    home = exact(trained["mdlm"], tmp_path / "model")
    chosen = config("mdlm", home)
    first = Trainer(chosen, corpus, tmp_path / "run", CPU)
    unbroken = [step.loss for step in first.run()]
    shutil.rmtree(tmp_path / "run")
    broken = Trainer(chosen, corpus, tmp_path / "run", CPU)
    losses = []
    for step in broken.run():
        losses.append(step.loss)
        if step.step == 10:
            break
    shutil.rmtree(home)
    again = Trainer(chosen, corpus, tmp_path / "run", CPU)
    assert again.init_model is None
    assert losses + [step.loss for step in again.run()] == unbroken
    run = msgspec.structs.replace(chosen.run, init="demo")
    with pytest.raises(ValueError, match=r"run.init was .*model' and is 'demo'"):
        Trainer(msgspec.structs.replace(chosen, run=run), corpus, tmp_path / "run", CPU)
