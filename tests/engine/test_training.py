"""The bound that is trained on, the average that is sampled from, and a run that can be killed."""

from __future__ import annotations

import resource
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor, nn

from engine.files.atomic import replace as write_whole
from engine.files.checkpoint_files import read_state, write_state
from engine.models.dit import DITConfig
from engine.training import config_diff
from engine.training.batches import draw_batch
from engine.training.config import TrainConfig, TrainProgress
from engine.training.config_file import read_config, sizes
from engine.training.data import Corpus, prepare
from engine.training.ema import EMA
from engine.training.loop import Trainer
from engine.training.losses import antithetic_times, mask_tokens, subs_nll
from engine.training.muon import GroupedMuon
from engine.training.objectives import OBJECTIVES
from engine.training.optimizers import lr_factor, optimizers
from engine.training.precision import resolve_precision
from engine.training.sections import OptimSection
from engine.training.spikes import check_loss
from tests.engine.stats import z_score
from tests.engine.texts import VOCABULARY, write_texts
from tests.engine.toys import MASK, TOKENS, Toy


def dense_nll(model: Toy, tokens: Tensor, masked: Tensor, t: Tensor, cap: float) -> Tensor:
    """The bound term by term over the whole table of log-probabilities."""
    logits = model.encode(tokens.masked_fill(masked, MASK), t).double()
    logits[:, :, MASK] = -torch.inf
    log_p = logits.log_softmax(-1)
    out = []
    for row in range(len(tokens)):
        terms = [-log_p[row, i, tokens[row, i]] for i in range(tokens.shape[1]) if masked[row, i]]
        out.append(min(1 / float(t[row]), cap) * sum(terms) / tokens.shape[1])
    return torch.tensor(out, dtype=torch.float64)


@pytest.mark.parametrize("cap", [float("inf"), 3.0])
def test_the_bound_is_that_of_a_dense_computation(cap: float) -> None:
    model, noise = Toy(), torch.Generator().manual_seed(2)
    tokens = torch.randint(TOKENS, (12, 7), generator=noise)
    t = antithetic_times(12, noise)
    _, masked = mask_tokens(tokens, t, MASK, noise)
    masked[0] = False  # a row with nothing to predict counts nothing
    noised = tokens.masked_fill(masked, MASK)
    got = subs_nll(model.project, model.encode(noised, t), tokens, masked, t, MASK, cap)
    torch.testing.assert_close(got.double(), dense_nll(model, tokens, masked, t, cap), atol=1e-5, rtol=1e-5)


def average_over_orders(model: Toy, tokens: Tensor) -> float:
    """The exact bound of two tokens, nats per token: the mean over both orders of revealing them one by one."""

    def nll(seen: list[int], position: int) -> float:
        state = torch.tensor([[int(tokens[i]) if i in seen else MASK for i in (0, 1)]])
        logits = model.encode(state, torch.ones(1))[0, position].double()
        logits[MASK] = -torch.inf
        return -float(logits.log_softmax(-1)[tokens[position]])

    return sum(nll([], first) + nll([first], 1 - first) for first in (0, 1)) / 2 / 2


def test_the_expectation_of_the_bound_is_the_elbo() -> None:
    """By Gauss-Legendre quadrature over t, and by enumeration of the masks: no sampling error."""
    model, tokens = Toy(), torch.tensor([[3, 1]])
    nodes, weights = np.polynomial.legendre.leggauss(8)
    total = 0.0
    for time, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        t = torch.tensor([time], dtype=torch.float32)
        for pattern in product((False, True), repeat=2):
            masked = torch.tensor([pattern])
            chance = np.prod([time if hidden else 1 - time for hidden in pattern])
            hidden = model.encode(tokens.masked_fill(masked, MASK), t)
            total += weight * chance * float(subs_nll(model.project, hidden, tokens, masked, t, MASK))
    assert total == pytest.approx(average_over_orders(model, tokens[0]), abs=1e-5)


def test_the_bound_drawn_as_in_training_has_that_expectation() -> None:
    model, tokens, count = Toy(), torch.tensor([[3, 1]]), 100_000
    noise = torch.Generator().manual_seed(1)
    t = antithetic_times(count, noise, eps=1e-4)
    rows = tokens.expand(count, -1)
    noised, masked = mask_tokens(rows, t, MASK, noise)
    drawn = subs_nll(model.project, model.encode(noised, t), rows, masked, t, MASK)
    error = float(drawn.std()) / count**0.5
    assert abs(float(drawn.mean()) - average_over_orders(model, tokens[0])) < 4 * error < 0.1


def test_there_is_one_time_in_each_cell() -> None:
    for largest in (1.0, 0.4):
        t = antithetic_times(64, torch.Generator().manual_seed(0), eps=0.1, largest=largest)
        cells = ((t - 0.1) / (largest - 0.1) * 64).floor()
        assert cells.tolist() == list(range(64))
    assert not torch.equal(t, antithetic_times(64, torch.Generator().manual_seed(1), eps=0.1, largest=0.4))


def test_a_position_is_masked_with_probability_t() -> None:
    tokens, t = torch.zeros(4, 20_000, dtype=torch.long), torch.tensor([0.0, 0.2, 0.7, 1.0])
    noised, masked = mask_tokens(tokens, t, MASK, torch.Generator().manual_seed(0))
    assert torch.equal(noised == MASK, masked)
    assert torch.equal(noised[~masked], tokens[~masked])
    for row, time in enumerate(t.double().tolist()):
        assert z_score(float(masked[row].double().mean()), time, 20_000) < 5


def test_the_average_is_the_arithmetic_it_says() -> None:
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 1.0)
    ema, expected = EMA(model, 0.5), 1.0
    for n, value in enumerate((3.0, -2.0, 5.0, 8.0, 1.0, 0.0, 4.0, 2.0, 7.0, 6.0)):
        nn.init.constant_(model.weight, value)
        ema.update(model)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
        assert float(ema.shadow["weight"]) == pytest.approx(expected, rel=1e-5)
    assert decay == 0.5


def test_a_model_wears_its_average_inside_and_its_own_weights_after() -> None:
    model = nn.Linear(2, 2)
    ema, own = EMA(model, 0.9), model.weight.detach().clone()
    with torch.no_grad():
        model.weight += 1
    with ema.applied(model):
        assert torch.equal(model.weight, own)
    assert torch.equal(model.weight, own + 1)


def test_a_model_gets_its_own_weights_back_after_an_error() -> None:
    model = nn.Linear(2, 2)
    ema, own = EMA(model, 0.9), model.weight.detach().clone()
    ema.shadow["weight"].zero_()
    with pytest.raises(RuntimeError, match="shapes"), ema.applied(model):
        model(torch.zeros(3, 3))
    assert torch.equal(model.weight, own)


def test_an_average_is_saved_and_loaded() -> None:
    model = nn.Linear(2, 2)
    ema = EMA(model, 0.9)
    nn.init.ones_(model.weight)
    ema.update(model)
    again = EMA(nn.Linear(2, 2), 0.9)
    again.load_state_dict(ema.state_dict())
    assert again.updates == 1
    assert all(torch.equal(again.shadow[name], ema.shadow[name]) for name in ema.shadow)


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_that_averages_nothing_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="EMA decay must lie in 0 to 1"):
        EMA(nn.Linear(1, 1), decay)


def test_the_learning_rate_warms_up_and_cools_down() -> None:
    optim = OptimSection(warmup=4, cooldown=5)
    factors = [lr_factor(step, 20, optim) for step in range(20)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors[-6:] == pytest.approx([1.0, 1.0, 0.8, 0.6, 0.4, 0.2])
    assert [lr_factor(step, 3, OptimSection(warmup=0, cooldown=0)) for step in range(3)] == [1.0] * 3


CONFIG = read_config(
    f"""
[ssd_lm]
block = 4
[model]
vocab_size = {VOCABULARY}
hidden_size = 16
n_blocks = 1
n_heads = 2
cond_dim = 8
length = 16
dropout = 0.1
[optim]
lr = 1e-2
warmup = 2
[run]
steps = 7
batch = 4
ema = 0.9
checkpoint_every = 2
validate_every = 3
validation_windows = 6
precision = "float32"
"""
)


FILES = ["best.pt", "best.pt.sha256", "last.pt", "last.pt.sha256", "tokenizer.json", "tokenizer.json.sha256"]


def with_run(**fields: Any) -> TrainConfig:
    return msgspec.structs.replace(CONFIG, run=msgspec.structs.replace(CONFIG.run, **fields))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    home = tmp_path_factory.mktemp("texts")
    return prepare([write_texts(home)], VOCABULARY, home / "cache")


def trainer(config: TrainConfig, corpus: Corpus, home: Path) -> Trainer:
    return Trainer(config, corpus, home, torch.device("cpu"))


def without_speed(progress: TrainProgress) -> TrainProgress:
    """All of it but the speed."""
    return replace(progress, tokens_per_second=0.0)


@pytest.mark.parametrize(
    ("objective", "optimizer"), [("mdlm", "adamw"), *((objective, "muon") for objective in OBJECTIVES)]
)
@pytest.mark.parametrize("killed", [1, 3, 5])
def test_a_killed_and_resumed_run_is_as_if_unbroken(
    corpus: Corpus, tmp_path: Path, objective: str, optimizer: str, killed: int
) -> None:
    optim = msgspec.structs.replace(CONFIG.optim, name=optimizer)
    config = msgspec.structs.replace(CONFIG, objective=objective, optim=optim)
    whole_run = trainer(config, corpus, tmp_path / "whole")
    whole = [without_speed(progress) for progress in whole_run.run()]
    assert [progress.step for progress in whole] == list(range(1, 8))
    assert [progress.validation is not None for progress in whole] == [step in (3, 6, 7) for step in range(1, 8)]
    assert [progress.saved for progress in whole] == [step in (2, 4, 6, 7) for step in range(1, 8)]

    list(islice(trainer(config, corpus, tmp_path / "broken").run(), killed))
    torch.manual_seed(99)
    resumed_run = trainer(config, corpus, tmp_path / "broken")
    assert resumed_run.step == killed // 2 * 2
    resumed = [without_speed(progress) for progress in resumed_run.run()]
    assert resumed == whole[resumed_run.config.run.steps - len(resumed) :]
    for name, p in whole_run.model.state_dict().items():
        assert torch.equal(resumed_run.model.state_dict()[name], p)
    assert all(torch.equal(resumed_run.ema.shadow[name], p) for name, p in whole_run.ema.shadow.items())


def test_a_finished_run_has_nothing_left_to_do(corpus: Corpus, tmp_path: Path) -> None:
    list(trainer(CONFIG, corpus, tmp_path).run())
    assert list(trainer(CONFIG, corpus, tmp_path).run()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES


def test_a_finished_run_can_be_made_longer(corpus: Corpus, tmp_path: Path) -> None:
    list(trainer(CONFIG, corpus, tmp_path).run())
    assert [progress.step for progress in trainer(with_run(steps=9), corpus, tmp_path).run()] == [8, 9]


def test_training_lowers_the_bound(corpus: Corpus, tmp_path: Path) -> None:
    made = trainer(with_run(steps=60, batch=16, validate_every=60, validation_windows=256), corpus, tmp_path)
    before = made.validate()
    assert before == pytest.approx(np.log(VOCABULARY - 1), rel=0.15)
    last = list(made.run())[-1]
    assert last.validation is not None
    assert last.validation < before - 1
    assert last.best == last.validation


def test_validation_is_the_same_every_time_and_leaves_the_weights(corpus: Corpus, tmp_path: Path) -> None:
    made = trainer(CONFIG, corpus, tmp_path)
    list(islice(made.run(), 3))
    weights = {name: p.clone() for name, p in made.model.state_dict().items()}
    assert made.validate() == made.validate() == pytest.approx(made.validate(batch=2), rel=1e-5)
    assert all(torch.equal(made.model.state_dict()[name], p) for name, p in weights.items())


def test_the_best_weights_are_those_of_the_lowest_bound(corpus: Corpus, tmp_path: Path) -> None:
    made = trainer(CONFIG, corpus, tmp_path)
    seen = [progress.validation for progress in made.run() if progress.validation is not None]
    assert made.best == min(seen)
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert best["step"] == (3, 6, 7)[seen.index(min(seen))]


def test_a_loss_that_is_not_a_number_stops_the_run(corpus: Corpus, tmp_path: Path) -> None:
    made = trainer(CONFIG, corpus, tmp_path)
    nn.init.constant_(made.model.output_layer.linear.bias, torch.nan)
    with pytest.raises(
        FloatingPointError, match=r"the loss became nan .* at step 0, whose batch begins at the training tokens [0-9]+,"
    ):
        next(made.run())
    assert read_state(made.checkpoint, torch.device("cpu"))["step"] == 0


def test_of_a_large_batch_a_few_places_are_named() -> None:
    with pytest.raises(FloatingPointError, match=r"training tokens (\d+, ){15}\d+ and 24 more$"):
        check_loss(float("inf"), 1.0, np.arange(40), step=0, limit=0.0, level=None)


def test_a_jump_of_the_loss_stops_the_run_before_it_does_harm(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.training.spikes.SETTLED", 3)
    made = trainer(with_run(spike=3.0), corpus, tmp_path)
    list(islice(made.run(), 4))
    assert made.level is not None
    made.level /= 5
    weights = {name: p.clone() for name, p in made.model.state_dict().items()}
    with pytest.raises(
        FloatingPointError, match=r"the loss jumped to .*, [345]\.\d times its average, at step 4, whose"
    ):
        next(made.run())
    assert all(torch.equal(made.model.state_dict()[name], p) for name, p in weights.items())
    again = trainer(with_run(spike=3.0), corpus, tmp_path)
    assert (again.step, [progress.step for progress in again.run()]) == (4, [5, 6, 7])


def test_a_batch_in_parts_is_the_same_batch(corpus: Corpus, tmp_path: Path) -> None:
    model = msgspec.structs.replace(CONFIG.model, dropout=0.0)
    curves = []
    for rows_together in (0, 1, 3):
        config = msgspec.structs.replace(with_run(rows_together=rows_together), model=model, objective="ar")
        curves.append([(p.loss, p.grad_norm) for p in trainer(config, corpus, tmp_path / str(rows_together)).run()])
    for parts in curves[1:]:
        assert parts == [pytest.approx(step, rel=1e-4) for step in curves[0]]


def test_the_last_checkpoints_stay_on_request(corpus: Corpus, tmp_path: Path) -> None:
    list(trainer(with_run(keep=2), corpus, tmp_path).run())
    kept = ["step-00000006.pt", "step-00000007.pt"]
    names = {*FILES, *kept, *(f"{name}.sha256" for name in kept)}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert [read_state(tmp_path / name, torch.device("cpu"))["step"] for name in ("last.pt", *kept)] == [7, 6, 7]


def test_a_full_disk_leaves_the_old_checkpoint_whole(corpus: Corpus, tmp_path: Path) -> None:
    made = trainer(CONFIG, corpus, tmp_path)
    list(islice(made.run(), 4))
    before = made.checkpoint.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*last\.pt'"):
            list(made.run())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert made.checkpoint.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert [progress.step for progress in trainer(CONFIG, corpus, tmp_path).run()] == [5, 6, 7]


def test_a_text_that_cannot_be_written_leaves_the_old_one_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "words"
    write_whole(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*words'"):
            write_whole(path, b"new" * 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("words", "old")]


def test_a_directory_of_another_model_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    list(islice(trainer(CONFIG, corpus, tmp_path).run(), 2))
    other = msgspec.structs.replace(CONFIG, model=msgspec.structs.replace(CONFIG.model, n_blocks=2))
    with pytest.raises(ValueError, match=r"holds a run of another model \(model.n_blocks was 1 and is 2\)"):
        Trainer(other, corpus, tmp_path, torch.device("cpu"), changed=True)


def test_a_run_that_was_begun_otherwise_is_gone_on_with_only_when_that_is_meant(corpus: Corpus, tmp_path: Path) -> None:
    list(islice(trainer(CONFIG, corpus, tmp_path).run(), 2))
    optim = msgspec.structs.replace(CONFIG.optim, lr=2e-2)
    noise = msgspec.structs.replace(CONFIG.noise, name="cosine")
    other = msgspec.structs.replace(with_run(batch=2), optim=optim, noise=noise)
    differences = (
        r"noise.name was 'loglinear' and is 'cosine'; optim.lr was 0.01 and is 0.02; run.batch was 4 and is 2; restore"
    )
    with pytest.raises(ValueError, match=f"holds a different run: {differences}"):
        trainer(other, corpus, tmp_path)
    made = Trainer(other, corpus, tmp_path, torch.device("cpu"), changed=True)
    assert (made.step, len(made.changes), next(made.run()).lr) == (2, 3, 2e-2)


def test_other_data_are_distinguished_from_those_that_a_run_was_begun_with(corpus: Corpus, tmp_path: Path) -> None:
    list(islice(trainer(CONFIG, corpus, tmp_path).run(), 2))
    stream = corpus.splits["train"].copy()
    stream[-1] ^= 1
    with pytest.raises(ValueError, match="holds a different run: the data or their tokenizer have changed"):
        trainer(CONFIG, replace(corpus, splits={**corpus.splits, "train": stream}), tmp_path)


def test_data_are_known_by_their_whole_content_and_earlier_marks_by_the_ends(corpus: Corpus) -> None:
    stream = np.resize(corpus.splits["train"], 3 * config_diff.MARKED_BYTES)
    whole = replace(corpus, splits={"train": stream})
    other = replace(corpus, splits={"train": stream.copy()})
    other.splits["train"][len(stream) // 2] ^= 1
    now, earlier = config_diff.corpus_mark(whole), config_diff._mark_of_ends(whole)
    assert config_diff.corpus_mark(other) != now
    assert config_diff.matches_mark(whole, now, now)
    assert config_diff.matches_mark(whole, earlier, now)
    assert not config_diff.matches_mark(other, now, config_diff.corpus_mark(other))
    assert not config_diff.matches_mark(whole, "0" * len(earlier), now)


def test_how_far_and_how_a_run_is_reported_may_change(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.training.precision.has_bfloat16", lambda device: False)
    list(islice(trainer(CONFIG, corpus, tmp_path).run(), 2))
    free = with_run(steps=9, rows_together=1, spike=9.0, checkpoint_every=5, keep=1, validate_every=4, precision="auto")
    made = trainer(free, corpus, tmp_path)
    assert (made.step, made.changes) == (2, [])


def test_the_precision_is_what_the_device_has_instructions_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert [resolve_precision(requested, cpu) for requested in ("float32", "bfloat16")] == ["float32", "bfloat16"]
    for there in (False, True):
        monkeypatch.setattr("engine.training.precision.has_bfloat16", lambda device, there=there: there)
        assert resolve_precision("auto", cpu) == ("bfloat16" if there else "float32")


def test_a_checkpoint_from_before_data_were_marked_goes_on(corpus: Corpus, tmp_path: Path) -> None:
    list(islice(trainer(CONFIG, corpus, tmp_path).run(), 2))
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    del state["data"]
    write_state(tmp_path / "last.pt", state)
    assert trainer(CONFIG, corpus, tmp_path).step == 2


def test_a_vocabulary_the_data_does_not_fill_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    other = msgspec.structs.replace(CONFIG, model=msgspec.structs.replace(CONFIG.model, vocab_size=600))
    with pytest.raises(ValueError, match=f"a vocabulary of {VOCABULARY} tokens, not the configured 600"):
        trainer(other, corpus, tmp_path)


def test_a_vocabulary_below_the_least_is_not_advised_to_be_smaller(corpus: Corpus, tmp_path: Path) -> None:
    few = Tokenizer(WordLevel({"a": 0, "b": 1}, unk_token="a"))
    with pytest.raises(ValueError, match=r"use more text or name a tokenizer by data\.tokenizer"):
        trainer(CONFIG, Corpus(few, corpus.splits), tmp_path)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_shorter_than_a_window_is_refused_before_training(corpus: Corpus, tmp_path: Path, split: str) -> None:
    for splits in ({split: corpus.splits[split][:15]}, {}):
        rest = {name: stream for name, stream in corpus.splits.items() if name != split}
        short = Corpus(corpus.tokenizer, rest | splits)
        with pytest.raises(ValueError, match=rf"the data's {split} split holds \d+ tokens: a window needs 16"):
            trainer(CONFIG, short, tmp_path)


def test_muon_takes_the_blocks_matrices_and_adamw_the_rest(corpus: Corpus, tmp_path: Path) -> None:
    model = trainer(CONFIG, corpus, tmp_path).model
    names = {id(p): name for name, p in model.named_parameters()}
    adamw, muon = optimizers(model, msgspec.structs.replace(CONFIG.optim, name="muon"))
    groups = [{names[id(p)] for group in o.param_groups for p in group["params"]} for o in (adamw, muon)]
    assert groups[1] == {f"blocks.0.{name}.weight" for name in ("attn_qkv", "attn_out", "mlp.0", "mlp.2")}
    assert groups[0] == set(names.values()) - groups[1]


def test_muon_follows_the_precision_that_was_chosen_and_an_old_torch_is_reported(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = msgspec.structs.replace(
        with_run(precision="auto"), optim=msgspec.structs.replace(CONFIG.optim, name="muon")
    )
    for there, dtype in ((False, None), (True, torch.bfloat16)):
        monkeypatch.setattr("engine.training.precision.has_bfloat16", lambda device, there=there: there)
        muon = trainer(config, corpus, tmp_path / str(there)).optimizers[1]
        assert isinstance(muon, GroupedMuon)
        assert muon._dtype is dtype
    monkeypatch.delattr("torch.optim.Muon")
    with pytest.raises(ValueError, match=r"takes torch 2\.9 or later"):
        trainer(config, corpus, tmp_path)


def test_the_curriculum_begins_with_few_masks(corpus: Corpus) -> None:
    config = with_run(curriculum=10, batch=500)
    largest = [float(draw_batch(config, corpus, step).t.max()) for step in (0, 5, 10, 20)]
    assert largest == pytest.approx([0.3, 0.65, 1.0, 1.0], abs=0.002)


def test_processes_share_the_rows_of_one_batch_with_their_noise(corpus: Corpus) -> None:
    config = with_run(batch=6)
    whole, *shares = draw_batch(config, corpus, 3), *(draw_batch(config, corpus, 3, rank, 3) for rank in range(3))
    for rank, share in enumerate(shares):
        assert np.array_equal(share.starts, whole.starts)
        for mine, all_rows in zip(share[3:], whole[3:], strict=True):
            assert torch.equal(mine, all_rows[rank::3])
    assert len({share.dropout_seed for share in shares}) == 3
    assert not torch.equal(draw_batch(config, corpus, 4).chance, whole.chance)


def test_a_step_is_the_same_drawn_ahead_or_not(corpus: Corpus, tmp_path: Path) -> None:
    ahead, redrawn = (trainer(with_run(steps=4), corpus, tmp_path / name) for name in ("ahead", "redrawn"))
    losses = [step.loss for step in ahead.run()]
    found = []
    for step in redrawn.run():
        found.append(step.loss)
        redrawn._next_batch = None
    assert found == losses


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[run]\nstepps = 3", "stepps.*run"),
        ("[run]\nsteps = 'many'", r"run\.steps"),
        ("[run]\nsteps = 0", r"run\.steps is too small"),
        ("[run]\nbatch = -1", r"run\.batch is too small"),
        ("[optim]\nlr = 0.0", r"optim\.lr is too small"),
        ("[optim]\nclip = 0.0", r"optim\.clip is too small"),
        ("[optim]\nname = 'sgd'", r"sgd.*optim\.name"),
        ("[model]\nvocab_size = 100", r"model\.vocab_size must be 513 to 65536"),
        ("[model]\nvocab_size = 70000", r"model\.vocab_size must be 513 to 65536 .*, not 70000"),
        ("[run]\nprecision = 'float8'", r"float8.*run\.precision"),
        ("model = {size = 'huge'}", "unknown model.size 'huge': choose medium, medium-ar, small"),
        ("[run]\nkeep = -1", r"run\.keep must be 0 or more"),
        ("[run]\nsample_every = -1", r"run\.sample_every must be 0 or more"),
        ("[data]\nrows = 'odd'", r"odd.*data\.rows"),
        ("[data]\nrows = 'wrapped'\n[model]\nlength = 2", r"model\.length is too small"),
        ("[run]\nspike = -2.0", r"run\.spike must be 0 or more"),
        ("[noise]\nname = 'pink'", "unknown noise.name 'pink': choose loglinear, cosine, cosine-squared"),
        ("[noise]\neps = 0.0", "noise.eps must lie between 0 and 1"),
        ("[noise]\nsigma_min = 2.0\nsigma_max = 1.0", "sigma_min < noise.sigma_max, not 2.0 and 1.0"),
        ("[d3pm]\nsteps = 0", r"d3pm\.steps is too small"),
        ("[mdlm]\ntimes = 'odd'", r"odd.*mdlm\.times"),
        ("objective = 'gan'", "unknown objective .gan.: choose mdlm, sedd, d3pm, ar"),
        ("[run", "line|Expected|col"),
    ],
)
def test_a_bad_configuration_names_its_key(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read_config(text)


def test_an_empty_configuration_is_the_defaults() -> None:
    assert read_config("") == TrainConfig()
    assert TrainConfig().network(8191).vocab_size == TrainConfig().model.vocab_size


def test_the_configurations_of_the_package_can_be_read() -> None:
    texts = [path.read_text() for path in (Path(__file__).parents[2] / "configs" / "train").glob("*.toml")]
    assert texts
    for text in texts:
        config = read_config(text)
        assert config.network(config.model.vocab_size - 1).length == config.model.length


def test_a_size_stands_for_its_fields_and_gives_way_to_those_that_are_given() -> None:
    small = read_config("model = {size = 'small', length = 128, vocab_size = 50258}").network(50257)
    assert (small.hidden_size, small.n_blocks, small.n_heads, small.cond_dim, small.length) == (768, 12, 12, 128, 128)
    assert small == replace(DITConfig(), length=128, dropout=0.1)


def test_every_size_is_one_of_a_network_and_has_a_causal_twin() -> None:
    found = sizes()
    assert {name for name in found if not name.endswith("-ar")} == {"tiny", "small", "medium"}
    for name in found:
        config = read_config(f"model = {{size = '{name}'}}").network(8191)
        assert config.length == 1024
        assert found[name] == found[f"{name.removesuffix('-ar')}-ar"]
