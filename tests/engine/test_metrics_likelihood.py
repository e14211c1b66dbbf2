"""The likelihood bound against distributions whose likelihood is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.data.rows import windows
from engine.data.special_tokens import END_OF_TEXT
from engine.data.texts import load_texts
from engine.metrics.bounds import d3pm_bound
from engine.metrics.likelihood import Likelihood, add_noise, likelihood, noise_levels, sequence_nats
from engine.models import checkpoint, load_model
from engine.models.causal_dit import CachedCausal, CausalDIT
from engine.models.dit import DIT, DITConfig
from engine.models.loading import Discrete
from engine.models.text import Codec
from engine.training.data import prepare
from engine.training.losses import subs_nll
from tests.engine.texts import VOCABULARY, write_texts
from tests.engine.toys import TimedToy, Toy

LETTERS, LENGTH = 3, 5


class Known:
    """A distribution over all words of LENGTH letters, and the denoiser that knows it: the bound is its likelihood."""

    vocab_size, mask_id, max_length, time_conditioned = LETTERS + 1, LETTERS, LENGTH, False

    def __init__(self, seed: int, sharpness: float = 1.5) -> None:
        self.words = torch.tensor(list(itertools.product(range(LETTERS), repeat=LENGTH)))
        noise = torch.Generator().manual_seed(seed)
        self.p = torch.softmax(sharpness * torch.randn(len(self.words), generator=noise, dtype=torch.float64), 0)

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """log p(letter here | letters that are seen), [B, L, V]."""
        fits = ((self.words[None] == tokens[:, None]) | (tokens[:, None] == self.mask_id)).all(-1)
        posterior = fits * self.p
        letters = torch.nn.functional.one_hot(self.words, self.vocab_size).double()
        return torch.log(torch.einsum("bw,wlv->blv", posterior, letters) / posterior.sum(-1)[:, None, None])

    def project(self, hidden: Tensor) -> Tensor:
        return hidden.clone()

    def draw(self, count: int, seed: int = 0) -> Tensor:
        numbers = torch.Generator().manual_seed(seed)
        return self.words[torch.multinomial(self.p, count, replacement=True, generator=numbers)]

    def log_p(self, rows: Tensor) -> Tensor:
        powers = LETTERS ** torch.arange(LENGTH).flip(0)
        return self.p[(rows * powers).sum(-1)].log()


class Bigram:
    """A causal toy: a letter depends on the one before it; `start` stands before the first, or nothing does."""

    vocab_size, mask_id, max_length, time_conditioned, causal = LETTERS + 1, LETTERS, None, False, True

    def __init__(self, start: int | None) -> None:
        self.start = start
        self.table = torch.randn(LETTERS, LETTERS + 1, generator=torch.Generator().manual_seed(3))

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        hidden = self.table[torch.nn.functional.pad(tokens[:, :-1], (1, 0), value=self.start or 0)]
        if self.start is None:
            hidden[:, 0] = torch.nan
        return hidden

    def project(self, hidden: Tensor) -> Tensor:
        return hidden.clone()

    def by_hand(self, before: int, after: int) -> float:
        return -float(torch.log_softmax(self.table[before, :LETTERS].double(), -1)[after])


def holds(found: Likelihood, value: float) -> bool:
    assert found.nats.low is not None
    assert found.nats.high is not None
    return found.nats.low <= value <= found.nats.high


@pytest.mark.parametrize("how", ["reference", "standard"])
def test_the_bound_of_a_known_distribution_is_within_its_interval_of_the_entropy(how: str) -> None:
    """The negative control: another model's bound on the same rows is its cross entropy, and nowhere near that."""
    model, other = Known(1), Known(2)
    entropy, crossed = (-float((model.p * q.p.log()).sum()) / LENGTH for q in (model, other))
    held = []
    for seed in range(20):
        rows = model.draw(500, seed)
        own, wrong = (likelihood(q, rows, how, seed=seed, batch=125) for q in (model, other))
        held.append((holds(own, entropy), holds(wrong, crossed), holds(wrong, entropy)))
    assert (np.sum(held, 0)[:2] >= 15).all()
    assert np.sum(held, 0)[2] == 0


def test_the_figure_is_given_in_every_unit() -> None:
    found = likelihood(Known(1), Known(1).draw(20))
    assert (found.kind, found.sequences, found.tokens, found.network_calls) == ("bound", 20, 100, 80)
    assert found.nats.value == pytest.approx(found.by_sequence.mean())
    assert found.perplexity.value == pytest.approx(math.exp(found.nats.value))
    assert found.bits.value == pytest.approx(found.nats.value / math.log(2))


def test_each_sequence_is_bounded_by_its_own_likelihood_and_counting_masks_is_surer() -> None:
    """The same few rows over and over leave the noise alone."""
    model = Known(1)
    rows = model.draw(4, seed=9).repeat(400, 1)
    exact = -model.log_p(rows[:4]).numpy() / LENGTH
    spread = {}
    for how in ("reference", "standard"):
        values = likelihood(model, rows, how, batch=200).by_sequence.reshape(400, 4)
        error = values.std(0) / 20
        assert (np.abs(values.mean(0) - exact) < 4 * error + 2e-3).all()
        spread[how] = error.mean()
    assert spread["standard"] < spread["reference"] / 2


@pytest.mark.parametrize("model", [Toy(), TimedToy()], ids=["toy", "timed"])
@pytest.mark.parametrize("how", ["reference", "standard"])
def test_the_bound_is_the_formula_written_out(model: Toy, how: str) -> None:
    rows = torch.randint(5, (7, 12), generator=torch.Generator().manual_seed(2))
    times, masking = (1, "independent") if how == "reference" else (4, "counted")
    levels = noise_levels(range(7), 7, times, 1)
    expected = np.zeros(7)
    for n, time in itertools.product(range(7), range(times)):
        noise = add_noise(rows[n : n + 1], levels[n : n + 1, time], [n], time, masking, 1, model.mask_id)
        logits = model.project(model.encode(noise.tokens, noise.t))[0].double()
        logits[:, model.mask_id] = -torch.inf
        weight = 1 / float(noise.share[0])
        for place in noise.masked[0].nonzero()[:, 0].tolist():
            expected[n] -= weight * float(torch.log_softmax(logits[place], -1)[rows[n, place]]) / 12 / times
    assert likelihood(model, rows, how).by_sequence == pytest.approx(expected, rel=1e-5, abs=1e-6)


class Parameterized(TimedToy):
    """A toy whose logits also hold a share for the mask, said to be of a parameterization."""

    def __init__(self, parameterization: str, shift: float = 0.0) -> None:
        super().__init__()
        self.loaded, self.shift = SimpleNamespace(parameterization=parameterization), shift

    def project(self, hidden: Tensor) -> Tensor:
        return super().project(hidden).clone() + self.shift


def noised(model: Toy, rows: Tensor, t_of: Callable[[Tensor], Tensor]) -> Iterator[tuple[int, float, Tensor, Tensor]]:
    """(row, t, where it is masked [L], the network's logits [L, V]) of the reference's one noise level a sequence."""
    levels = noise_levels(range(len(rows)), len(rows), 1, 1)[:, 0]
    for n, row in enumerate(rows):
        level = t_of(levels[n : n + 1])
        noise = add_noise(row[None], level, [n], 0, "independent", 1, model.mask_id)
        hidden = model.encode(noise.tokens, noise.t.float())
        yield n, float(noise.t), noise.masked[0], model.project(hidden[0]).double()


def test_the_reference_measures_sedd_by_score_entropy() -> None:
    """sigma' [sum of s - r log s(x) + r (log r - 1)] with r = 1 / expm1(sigma), written out (arXiv 2310.16834)."""
    rows = torch.randint(0, 4, (12, 6), generator=torch.Generator().manual_seed(2))
    for shift in (0.0, 0.7):
        model = Parameterized("sedd", shift)
        expected = []
        for n, t, masked, logits in noised(model, rows, lambda level: level):
            sigma = -math.log1p(-(1 - 1e-3) * t)
            rate, r, total = (1 - 1e-3) / (1 - (1 - 1e-3) * t), 1 / math.expm1(sigma), 0.0
            for place in masked.nonzero()[:, 0].tolist():
                scores = [
                    math.exp(float(logits[place, y])) * r / (model.vocab_size - 1)
                    for y in range(model.vocab_size)
                    if y != model.mask_id
                ]
                target = math.exp(float(logits[place, rows[n, place]])) * r / (model.vocab_size - 1)
                total += rate * (sum(scores) - r * math.log(target) + r * (math.log(r) - 1))
            expected.append(total / rows.shape[1])
        found = likelihood(model, rows, "reference")
        assert found.bound == "score entropy"
        assert found.by_sequence == pytest.approx(expected, rel=1e-4)
    subs = [likelihood(Parameterized("sedd", shift), rows, "standard") for shift in (0.0, 0.7)]
    assert [one.bound for one in subs] == ["SUBS", "SUBS"]
    assert subs[0].by_sequence == pytest.approx(subs[1].by_sequence, rel=1e-5)


@pytest.mark.parametrize(
    "trained",
    [None, Discrete(1000), Discrete(7), Discrete(4000), Discrete(12, subs_masking=True)],
)
def test_the_reference_measures_d3pm_by_one_of_its_steps_and_the_reconstruction(trained: Discrete | None) -> None:
    """T KL(q(z_s | z_t, x) || p(z_s | z_t)) at masked positions by its two outcomes, less log p(x | x) everywhere."""
    rows = torch.randint(0, 4, (12, 6), generator=torch.Generator().manual_seed(3))
    model, expected = Parameterized("d3pm"), []
    model.loaded.discrete = trained
    steps = 1000 if trained is None else trained.steps

    def log_probabilities(logits: torch.Tensor) -> torch.Tensor:
        allowed = logits.double().clone()
        if trained is not None and trained.subs_masking:
            allowed[..., model.mask_id] = -torch.inf
        return torch.log_softmax(allowed, -1)

    whole = lambda level: ((level * steps).floor() + 1) / steps  # noqa: E731
    as_level = lambda level: (whole(level) - 1e-3) / (1 - 1e-3)  # noqa: E731
    for n, t, masked, logits in noised(model, rows, as_level):
        now, then = (1 - 1e-3) * t, (1 - 1e-3) * max(t - 1 / steps, 0.0)
        total = 0.0
        for place in masked.nonzero()[:, 0].tolist():
            p = log_probabilities(logits[place]).exp()
            at, mask = float(p[rows[n, place]]), float(p[model.mask_id])
            # the chance of being at the mask now, under the network's law for x, which gives the mask a share
            norm = now + (1 - now) * mask
            reveal, stay = (now - then) / now, then / now
            total += reveal * math.log(reveal / ((now - then) * at / norm))
            if then > 1e-9:
                total += stay * math.log(stay / ((then + (1 - then) * mask) / norm))
        clean = log_probabilities(model.project(model.encode(rows[n : n + 1], torch.zeros(1))[0]))
        given = float(clean.gather(1, rows[n][:, None]).sum())
        expected.append((steps * total - given) / rows.shape[1])
    found = likelihood(model, rows, "reference")
    assert found.bound == f"D3PM in {steps:,} steps"
    assumed = "assumed: the checkpoint does not say its T" in d3pm_bound(trained).sentence
    assert assumed == (trained is None)
    assert found.network_calls == 24
    assert found.by_sequence == pytest.approx(expected, rel=2e-3)
    assert likelihood(model, rows, "standard").bound == "SUBS"


def test_the_bound_of_a_network_is_that_of_its_training() -> None:
    """The same rows and noise through the loss that training minimises."""
    config = DITConfig(vocab_size=50, hidden_size=24, n_blocks=2, n_heads=3, cond_dim=8, length=16, mask_id=49)
    model = DIT(config)
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())) * 0.2
    rows = torch.randint(49, (6, 16), generator=torch.Generator().manual_seed(2))
    noise = add_noise(rows, noise_levels(range(6), 6, 1, 1)[:, 0], range(6), 0, "independent", 1, 49)
    t = noise.t.float()
    with torch.inference_mode():
        loss = subs_nll(model.project, model.eval().encode(noise.tokens, t), rows, noise.masked, t, 49)
    assert likelihood(model, rows, "reference", batch=4).by_sequence == pytest.approx(loss.numpy(), rel=1e-4)


@pytest.mark.parametrize("how", ["reference", "standard"])
def test_the_figure_depends_on_neither_batch_nor_process(how: str) -> None:
    model, rows = Known(1), Known(1).draw(23)
    whole = likelihood(model, rows, how, batch=23).by_sequence
    assert np.array_equal(likelihood(model, rows, how, batch=1).by_sequence, whole)
    parts = [sequence_nats(model, rows, numbers, how)[0] for numbers in (range(9), range(9, 23))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(likelihood(model, rows, how, seed=2).by_sequence, whole)


@pytest.mark.parametrize("times", [1, 4])
def test_noise_levels_fill_equal_cells_in_no_order(times: int) -> None:
    levels = noise_levels(range(200), 200, times, 5)
    cells = (levels.flatten() * 200 * times).long().sort().values
    assert torch.equal(cells, torch.arange(200 * times))
    assert abs(np.corrcoef(np.arange(200), levels[:, 0])[0, 1]) < 0.25


def test_an_independent_noise_level_falls_short_of_masking_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference's schedule: 1 - alpha = (1 - 1e-3) t, of t = 1e-3 + (1 - 1e-3) level."""
    rows, level = torch.zeros((1, 4), dtype=torch.long), torch.tensor([0.4], dtype=torch.float64)
    t = 1e-3 + (1 - 1e-3) * 0.4
    drawn = torch.tensor([[0.0, (1 - 1e-3) * t - 1e-6, (1 - 1e-3) * t + 1e-6, t]], dtype=torch.float64)
    monkeypatch.setattr("engine.metrics.likelihood.uniforms", lambda *_: drawn)
    noise = add_noise(rows, level, [0], 0, "independent", 1, 3)
    assert noise.masked.tolist() == [[True, True, False, False]]
    assert (float(noise.t), float(noise.share)) == pytest.approx((t, t), abs=1e-12)


def test_a_counted_noise_level_is_a_number_of_masks() -> None:
    rows, level = torch.zeros((2000, 10), dtype=torch.long), torch.arange(2000).double() / 2000
    noise = add_noise(rows, level, range(2000), 0, "counted", 7, 3)
    counts = noise.masked.sum(-1)
    assert torch.equal(counts, torch.arange(1, 11).repeat_interleave(200))
    assert torch.equal(noise.share, counts / 10.0)
    assert torch.equal(noise.tokens, 3 * noise.masked.long())
    # the level told to the network is Beta(n, 11 - n), and every place is masked as often as any
    for n in (1, 4, 10):
        assert float(noise.t[counts == n].mean()) == pytest.approx(n / 11, abs=0.03)
    assert noise.masked.double().mean(0).numpy() == pytest.approx(np.full(10, 0.55), abs=0.05)


def test_a_causal_model_is_exact() -> None:
    rows = torch.randint(LETTERS, (6, 8), generator=torch.Generator().manual_seed(2))
    model = Bigram(start=1)
    found = likelihood(model, rows)
    expected = [np.mean([model.by_hand(a, b) for a, b in itertools.pairwise([1, *row])]) for row in rows.tolist()]
    assert found.by_sequence == pytest.approx(expected, rel=1e-6)
    assert (found.kind, found.tokens, found.network_calls) == ("exact", 48, 6)


@pytest.mark.parametrize("start", [1, None])
def test_a_causal_model_does_not_predict_what_rows_begin_with(start: int | None) -> None:
    rows = torch.randint(LETTERS, (6, 8), generator=torch.Generator().manual_seed(2))
    rows[:, 0] = 1
    model = Bigram(start)
    found = likelihood(model, rows, start=1)
    expected = [np.mean([model.by_hand(a, b) for a, b in itertools.pairwise(row)]) for row in rows.tolist()]
    assert found.by_sequence == pytest.approx(expected, rel=1e-6)
    assert found.tokens == 42


def test_a_causal_network_of_ours_is_exact() -> None:
    config = DITConfig(vocab_size=30, hidden_size=24, n_blocks=2, n_heads=3, cond_dim=8, length=16, mask_id=29)
    network = CausalDIT(config).eval()
    for p in network.parameters():
        p.data = torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())) * 0.2
    model = CachedCausal(network, bos=0)
    model.causal = True  # type: ignore[attr-defined]
    rows = torch.randint(29, (5, 16), generator=torch.Generator().manual_seed(2))
    rows[:, 0] = 0
    with torch.no_grad():
        logits = network(rows)[:, :-1].double()
    logits[..., 29] = -torch.inf
    log_p = torch.log_softmax(logits, -1).gather(-1, rows[:, 1:, None])[..., 0]
    assert likelihood(model, rows, start=0).by_sequence == pytest.approx(-log_p.mean(-1).numpy(), rel=1e-4)


def test_a_loaded_model_is_scored_on_the_windows_of_its_training_data(tmp_path: Path) -> None:
    path = write_texts(tmp_path)
    corpus = prepare([path], VOCABULARY, tmp_path / "cache")
    size = corpus.tokenizer.get_vocab_size()
    config = DITConfig(vocab_size=size, hidden_size=24, n_blocks=2, n_heads=3, cond_dim=8, length=20, mask_id=size - 1)
    checkpoint.export_model(DIT(config), corpus.tokenizer.to_str(), tmp_path / "model")
    model = load_model(str(tmp_path / "model"), "cpu", "float32")
    end = corpus.tokenizer.token_to_id(END_OF_TEXT)
    rows = windows(load_texts([path]).texts, Codec(corpus.tokenizer).encode, 20, 9, end)
    assert np.array_equal(rows, corpus.spread("validation", 20, 9))
    # a fresh network knows nothing
    assert likelihood(model, rows).nats.value == pytest.approx(math.log(size - 1), rel=1e-5)


def test_rows_that_are_not_the_models_are_refused() -> None:
    model = Toy()
    for rows, message in (
        (torch.zeros(0, 4).long(), r"rows of tokens, \[N, L\], and got \[0, 4\]"),
        (torch.zeros(4).long(), r"got \[4\]"),
        (torch.zeros(1, 129).long(), "rows have 129 tokens, and the model takes 128"),
        (torch.full((1, 4), 6), "rows hold token 6, and the model has 6"),
        (torch.full((1, 4), -1), "rows hold token -1"),
        (torch.full((1, 4), 5), "rows hold the mask, token 5"),
    ):
        with pytest.raises(ValueError, match=message):
            likelihood(model, rows)
    with pytest.raises(ValueError, match="batch must be at least 1"):
        likelihood(model, torch.zeros(1, 4).long(), batch=0)
    with pytest.raises(ValueError, match="a row of one token"):
        likelihood(Bigram(None), torch.zeros(1, 1).long())


def test_a_network_that_gives_nan_is_stopped_at_the_sequence() -> None:
    model = Toy()
    model.left[3] = torch.nan
    rows = torch.zeros(5, 12).long()
    rows[3] = 3
    with pytest.raises(FloatingPointError, match="NaN for sequence 3"):
        likelihood(model, rows, batch=2)
