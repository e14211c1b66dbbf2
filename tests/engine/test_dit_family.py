"""MDLM, D3PM, SEDD and AR in the layouts of their publishers: what is loaded, what is said of it, what is refused."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import engine
from engine.models import TextModel
from engine.models.causal_dit import CachedCausal
from engine.models.dit import DIT, DITConfig
from engine.models.folded import FoldedDIT
from engine.models.loading import Discrete
from engine.models.time_conditioned import ScoreDIT, TimedDIT
from engine.sampling.predictors import sample_by_predictor
from tests.engine import plain_dit
from tests.engine.dit_files import (
    BD3LM,
    BLOCKS,
    COND,
    DIM,
    END,
    HEADS,
    HUB,
    LENGTH,
    MASK,
    SEDD,
    VOCAB,
    State,
    average_of,
    prefixed,
    run_settings,
    state,
    write_hub,
    write_lightning,
    write_tokenizer,
)

WEIGHTS, AVERAGE = state(seed=1), state(seed=2)
CAUSAL, CAUSAL_AVERAGE = state(causal=True, seed=3), state(causal=True, seed=4)
AR_RUN = run_settings(backbone="ar", parameterization="ar")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"))


def lightning(path: Path, parameterization: str = "subs", **settings: Any) -> Path:
    """A Lightning file of a kind, raw weights and their average."""
    causal = parameterization == "ar"
    raw, average = (CAUSAL, CAUSAL_AVERAGE) if causal else (WEIGHTS, AVERAGE)
    chosen_settings = run_settings(parameterization=parameterization, **settings)
    return write_lightning(path, raw, chosen_settings, average_of(average))


LAYOUTS = {
    "mdlm-owt": (lambda home: write_hub(home, HUB, prefixed(WEIGHTS)), WEIGHTS, "MDLM", None),
    "mdlm-noeos-owt": (lambda home: write_hub(home, BD3LM, prefixed(WEIGHTS)), WEIGHTS, "MDLM", None),
    "mdlm.ckpt": (lambda home: lightning(home / "mdlm.ckpt"), AVERAGE, "MDLM", None),
    "d3pm.ckpt": (lambda home: lightning(home / "d.ckpt", "d3pm", time_conditioning=True), AVERAGE, "D3PM", True),
    "d3pm.ckpt without time": (lambda home: lightning(home / "d.ckpt", "d3pm"), AVERAGE, "D3PM", None),
    "sedd-small": (lambda home: write_hub(home, SEDD, WEIGHTS), WEIGHTS, "SEDD", True),
    "sedd-noeos-owt": (lambda home: write_hub(home, HUB, prefixed(WEIGHTS)), WEIGHTS, "SEDD", True),
    "sedd.ckpt": (lambda home: lightning(home / "s.ckpt", "sedd", time_conditioning=True), AVERAGE, "SEDD", True),
    "ar.ckpt": (lambda home: lightning(home / "ar.ckpt", "ar", backbone="ar"), CAUSAL_AVERAGE, "AR", None),
    "ar-noeos-owt": (
        lambda home: write_hub(home, {**BD3LM, "causal": True, "adaln": False}, prefixed(CAUSAL)), CAUSAL, "AR", None,
    ),
}  # fmt: skip
"""For each published model: its files, the weights that count, its kind, and whether it hears the noise level."""


def load(name: str, home: Path, tokenizer: str, **options: Any) -> TextModel:
    make = LAYOUTS[name][0]
    return engine.load_model(str(make(home / name.split()[0])), "cpu", "float32", tokenizer=tokenizer, **options)


def canvas(rows: int = 2) -> Tensor:
    tokens = torch.randint(VOCAB, (rows, LENGTH), generator=torch.Generator().manual_seed(5))
    tokens[:, ::3] = MASK
    return tokens


def numbers(tensors: State) -> dict[str, Any]:
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}


@pytest.mark.parametrize("name", LAYOUTS)
def test_logits_are_those_of_the_plain_implementation(name: str, tmp_path: Path, tokenizer: str) -> None:
    _, weights, kind, timed = LAYOUTS[name]
    model = load(name, tmp_path, tokenizer)
    tokens, t = canvas(), 0.3
    got = model.project(model.encode(tokens, torch.tensor([t, t])).flatten(0, 1)).view(2, LENGTH, VOCAB)
    for row, ids in zip(got, tokens.tolist(), strict=True):
        if kind == "AR":
            expected = plain_dit.logits(numbers(weights), [END, *ids[:-1]], HEADS, None, causal=True)
        else:
            expected = plain_dit.logits(numbers(weights), ids, HEADS, plain_dit.sigma_of(t) if timed else 0.0)
        assert expected.std() > 0.3
        torch.testing.assert_close(row.double(), torch.from_numpy(expected), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_says_what_it_is_and_samples(name: str, tmp_path: Path, tokenizer: str) -> None:
    _, weights, kind, timed = LAYOUTS[name]
    model = load(name, tmp_path, tokenizer)
    info = model.info
    assert (info.kind, info.causal, info.time_conditioned) == (kind, kind == "AR", bool(timed))
    assert (info.vocab_size, info.mask_id, info.max_length) == (VOCAB, MASK, LENGTH)
    assert info.parameters == sum(tensor.numel() for tensor in average_of(weights))
    assert info.pieces[MASK] == f"<{MASK}>"
    for strategy in ("left-to-right",) if kind == "AR" else ("remdm-cap", "mdlm", "low-confidence"):
        made = engine.make_strategy(strategy, **({"eta": 0.2} if strategy == "remdm-cap" else {}))
        ids = engine.sample(model, made, steps=LENGTH, length=LENGTH, count=3, seed=1, prompt=[3, 4])
        assert not (ids == MASK).any()
        assert (ids[:, :2] == torch.tensor([3, 4])).all()
        assert len({tuple(row) for row in ids.tolist()}) == 3


def test_the_settings_of_a_run_come_from_modules_that_are_not_there(tmp_path: Path, tokenizer: str) -> None:
    for module in ("omegaconf.dictconfig", "gone_transformers"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(module)
    assert load("sedd.ckpt", tmp_path, tokenizer).info.kind == "SEDD"


@pytest.mark.parametrize("name", ["mdlm.ckpt", "sedd.ckpt", "ar.ckpt"])
def test_the_averaged_weights_are_used_unless_they_are_not_wanted(name: str, tmp_path: Path, tokenizer: str) -> None:
    averaged = load(name, tmp_path, tokenizer)
    raw = load(name, tmp_path, tokenizer, ema=False)
    for model, seeded, note in (
        (averaged, LAYOUTS[name][1], "averaged weights (decay 0.9999, 1,000,000 updates)"),
        (raw, CAUSAL if name == "ar.ckpt" else WEIGHTS, "the weights as they are, not their average"),
    ):
        assert torch.equal(model.network.embedding, seeded["vocab_embed.embedding"])
        assert note in model.info.notes


def test_a_file_without_an_average_gives_what_it_has(tmp_path: Path, tokenizer: str) -> None:
    path = write_lightning(tmp_path / "x.ckpt", WEIGHTS, run_settings(), None)
    model = engine.load_model(str(path), "cpu", tokenizer=tokenizer)
    assert torch.equal(model.network.embedding, WEIGHTS["vocab_embed.embedding"])
    assert model.info.notes == ()


def swapped(tensors: State, a: str, b: str) -> State:
    """With two entries in each other's place of the order."""
    names = [b if name == a else a if name == b else name for name in tensors]
    return {name: tensors[name] for name in names}


@pytest.mark.parametrize(
    ("raw", "average", "message"),
    [
        (WEIGHTS, average_of(AVERAGE)[:-1], r"an average of 39 tensors and 40 parameters: leave it out with --no-ema"),
        (WEIGHTS, [*average_of(AVERAGE), torch.zeros(1)], r"an average of 41 tensors and 40 parameters"),
        (WEIGHTS, list(AVERAGE.values()), r"an average of 41 tensors and 40 parameters"),
        (WEIGHTS, average_of(AVERAGE)[::-1], r"place of vocab_embed.embedding has shape \[32\], expected \[258, 16\]"),
        (WEIGHTS, [1, 2], "an average without a list of tensors"),
        (dict(sorted(WEIGHTS.items())), average_of(AVERAGE), "in another order than its average"),
        (
            swapped(WEIGHTS, "sigma_map.mlp.0.bias", "sigma_map.mlp.2.bias"), average_of(AVERAGE),
            "in another order than its average",
        ),
    ],
)  # fmt: skip
def test_an_average_that_cannot_be_that_of_the_weights_is_refused(
    raw: State, average: list[Any], message: str, tmp_path: Path, tokenizer: str
) -> None:
    path = write_lightning(tmp_path / "x.ckpt", raw, run_settings(), average)
    with pytest.raises(ValueError, match=message):
        engine.load_model(str(path), "cpu", tokenizer=tokenizer)
    model = engine.load_model(str(path), "cpu", tokenizer=tokenizer, ema=False)
    assert torch.equal(model.network.embedding, raw["vocab_embed.embedding"])


def test_tensors_of_something_else_are_ignored_and_listed(tmp_path: Path, tokenizer: str) -> None:
    others = {"noise.sigma_min": torch.zeros(1), **{f"metrics.nll.{i}": torch.zeros(1) for i in range(9)}}
    path = write_lightning(tmp_path / "x.ckpt", WEIGHTS, run_settings(), None, others)
    model = engine.load_model(str(path), "cpu", tokenizer=tokenizer)
    listed = "tensors ignored: noise.sigma_min, metrics.nll.0, metrics.nll.1, metrics.nll.2 and 6 more"
    assert model.info.notes == (listed,)
    home = write_hub(tmp_path / "hub", HUB, {**prefixed(WEIGHTS), "noise.sigma_min": torch.zeros(1)})
    assert engine.load_model(str(home), "cpu", tokenizer=tokenizer).info.notes == ("tensors ignored: noise.sigma_min",)


def test_a_noise_network_that_an_ar_model_carries_along_is_ignored(tmp_path: Path, tokenizer: str) -> None:
    carried = {name: tensor for name, tensor in WEIGHTS.items() if name.startswith("sigma_map")}
    home = write_hub(tmp_path / "hub", {**BD3LM, "causal": True}, prefixed({**CAUSAL, **carried}))
    info = engine.load_model(str(home), "cpu", tokenizer=tokenizer).info
    assert info.kind == "AR"
    assert "backbone.sigma_map.mlp.0.bias" in info.notes[0]


@pytest.mark.parametrize(
    ("weights", "kind", "note"),
    [
        (WEIGHTS, "MDLM", "taken for MDLM without time conditioning: the file does not say what it is"),
        (CAUSAL, "AR", ""),
    ],
)
@pytest.mark.parametrize("settings", [None, {"seed": 1}])
def test_a_file_without_settings_is_what_its_tensors_say(
    weights: State, kind: str, note: str, settings: dict[str, Any] | None, tmp_path: Path, tokenizer: str
) -> None:
    path = write_lightning(tmp_path / "x.ckpt", weights, settings, average_of(weights))
    info = engine.load_model(str(path), "cpu", tokenizer=tokenizer).info
    assert info.kind == kind
    assert note in (*info.notes, "")
    assert (info.max_length, info.time_conditioned) == (1024, False)


def test_bare_weights_in_a_file_are_read(tmp_path: Path, tokenizer: str) -> None:
    torch.save(WEIGHTS, tmp_path / "weights.pt")
    save_file(prefixed(WEIGHTS), tmp_path / "weights.safetensors")
    for name in ("weights.pt", "weights.safetensors"):
        model = engine.load_model(str(tmp_path / name), "cpu", tokenizer=tokenizer)
        assert torch.equal(model.network.embedding, WEIGHTS["vocab_embed.embedding"])


def test_a_directory_with_one_lightning_file_is_that_file_unless_it_has_other_weights(
    tmp_path: Path, tokenizer: str
) -> None:
    path = lightning(tmp_path / "run" / "best.ckpt")
    assert torch.equal(
        engine.load_model(str(path.parent), "cpu", tokenizer=tokenizer).network.embedding,
        AVERAGE["vocab_embed.embedding"],
    )
    home = write_hub(tmp_path / "hub", HUB, prefixed(WEIGHTS))
    shutil.copy(path, home)
    assert torch.equal(
        engine.load_model(str(home), "cpu", tokenizer=tokenizer).network.embedding, WEIGHTS["vocab_embed.embedding"]
    )


@pytest.mark.parametrize("timed", ["false", "True", 1, [True]])
def test_a_time_conditioning_that_is_neither_true_nor_false_is_refused(
    timed: object, tmp_path: Path, tokenizer: str
) -> None:
    home = write_hub(tmp_path / "hub", HUB | {"time_conditioning": timed}, prefixed(WEIGHTS))
    with pytest.raises(ValueError, match="time_conditioning must be true or false, not"):
        engine.load_model(str(home), "cpu", tokenizer=tokenizer)


@pytest.mark.parametrize("dropout", ["x", True, -0.1, 1, float("nan"), [0.1]])
def test_a_dropout_that_is_no_share_is_refused(dropout: Any) -> None:
    with pytest.raises(ValueError, match="dropout must be a number from 0 to below 1, not"):
        DITConfig(VOCAB, DIM, BLOCKS, HEADS, COND, LENGTH, MASK, dropout=dropout)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_timed_network_is_the_trained_one_and_its_rows_those_of_the_whole(timed: bool, dtype: torch.dtype) -> None:
    config = DITConfig(VOCAB, DIM, BLOCKS, HEADS, COND, LENGTH, MASK, timed)
    model = DIT(config).eval().requires_grad_(False)
    model.load_state_dict(WEIGHTS)
    fast, tokens, t = TimedDIT(model, dtype), canvas(3), torch.tensor([0.9, 0.5, 0.1])
    hidden = fast.encode(tokens, t)
    assert hidden.dtype == dtype
    tolerance = {"atol": 1e-4, "rtol": 1e-4} if dtype == torch.float32 else {"atol": 0.2, "rtol": 0.1}
    torch.testing.assert_close(hidden.float(), model.encode(tokens, t), **tolerance)
    where = torch.zeros(tokens.shape, dtype=torch.bool)
    where[0, [1, 5, 6]], where[2, ::2] = True, True
    torch.testing.assert_close(fast.encode_rows(tokens, t, where), hidden[where], **tolerance)
    lone = torch.zeros((1, LENGTH), dtype=torch.bool)
    lone[0, 4] = True
    torch.testing.assert_close(fast.encode_rows(tokens[1:2], t[1:2], lone), hidden[1:2, 4], **tolerance)
    assert torch.allclose(fast.encode(tokens, t), fast.encode(tokens, 1 - t), atol=1e-3) == (not timed)


@pytest.mark.parametrize("sigma", [1e-5, 0.3, 0.6, 5.0])
def test_both_publishers_scores_are_one_function(sigma: float, tmp_path: Path, tokenizer: str) -> None:
    """louaaron's scaling inside the forward and the Kuleshov group's outside it."""
    tokens = canvas(1)
    for name, plain in (
        ("sedd-small", plain_dit.sedd_scores_inside),
        ("sedd-noeos-owt", plain_dit.sedd_scores_outside),
    ):
        network = load(name, tmp_path, tokenizer).network
        assert isinstance(network, ScoreDIT)
        got = network.scores(tokens, torch.tensor([sigma]))[0]
        expected = plain(numbers(WEIGHTS), tokens[0].tolist(), HEADS, sigma)
        np.testing.assert_allclose(got.double().numpy(), expected, rtol=1e-3 if sigma > 1e-4 else 1e-2)
        assert (got.gather(-1, tokens[0, :, None]) == 1).all()


def test_a_score_network_samples_by_its_own_predictor(tmp_path: Path, tokenizer: str) -> None:
    model = load("sedd-small", tmp_path, tokenizer)
    made = sample_by_predictor(model, "analytic", steps=5, length=LENGTH, count=3, seed=0, prompt=[1])
    assert made.network_calls == 6
    assert not (made.tokens == MASK).any()
    assert (made.tokens[:, 0] == 1).all()


def test_an_ar_model_at_temperature_zero_writes_the_likeliest_token_after_what_it_wrote(
    tmp_path: Path, tokenizer: str
) -> None:
    model = load("ar.ckpt", tmp_path, tokenizer)
    assert isinstance(model.network, CachedCausal)
    strategy = engine.make_strategy("left-to-right")
    ids = engine.sample(model, strategy, steps=7, length=7, count=2, temperature=0.0, prompt=[9, 8])
    text = [END, 9, 8]
    while len(text) < 8:
        row = plain_dit.logits(numbers(CAUSAL_AVERAGE), text, HEADS, None, causal=True)[-1]
        text.append(int(row[:MASK].argmax()))
    assert ids.tolist() == [text[1:]] * 2


def test_a_model_that_ignores_the_noise_level_is_folded(tmp_path: Path, tokenizer: str) -> None:
    for name, kind in (("mdlm-owt", FoldedDIT), ("d3pm.ckpt", TimedDIT), ("d3pm.ckpt without time", FoldedDIT)):
        assert type(load(name, tmp_path / name, tokenizer).network) is kind


def test_a_runs_own_word_on_time_conditioning_counts_for_sedd(tmp_path: Path, tokenizer: str) -> None:
    path = lightning(tmp_path / "s.ckpt", "sedd", time_conditioning=False)
    network = engine.load_model(str(path), "cpu", tokenizer=tokenizer).network
    assert isinstance(network, ScoreDIT)
    assert not network.time_conditioned


@pytest.mark.parametrize("name", ["mdlm-owt", "sedd-small", "ar-noeos-owt"])
def test_bfloat16_is_close(name: str, tmp_path: Path, tokenizer: str) -> None:
    exact = load(name, tmp_path, tokenizer)
    low = engine.load_model(str(tmp_path / name), "cpu", "bfloat16", tokenizer=tokenizer)
    assert low.info.dtype == "bfloat16"
    tokens, t = canvas(), torch.tensor([0.4, 0.8])
    outputs = [model.project(model.encode(tokens, t).flatten(0, 1)).float() for model in (exact, low)]
    assert (outputs[0] - outputs[1]).abs().mean() < 0.1 * outputs[0].std()


def without(tensors: State, *names: str) -> State:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(names)}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (without(WEIGHTS, "vocab_embed"), r"vocab_embed\.embedding is missing"),
        (without(WEIGHTS, "rotary_emb"), r"rotary_emb\.inv_freq is missing"),
        (without(WEIGHTS, "blocks.1.mlp.0.bias"), r"blocks\.1\.mlp\.0\.bias is missing"),
        (without(WEIGHTS, "blocks.1."), r"2 blocks, but blocks\.1 is missing"),
        (without(WEIGHTS, "blocks.2."), r"it says 3 blocks, they have 2"),
        (without(WEIGHTS, "sigma_map"), r"sigma_map\.mlp\.0\.weight is missing"),
        ({**WEIGHTS, "blocks.1.extra": torch.zeros(1)}, r"blocks\.1\.extra is unexpected"),
        ({**WEIGHTS, "blocks.0.norm3.weight": torch.zeros(DIM)}, r"norm3\.weight is unexpected"),
        (
            {**WEIGHTS, "blocks.0.attn_out.weight": torch.zeros(DIM, 3)},
            r"attn_out\.weight has shape \[16, 3\], expected",
        ),
        ({**WEIGHTS, "vocab_embed.embedding": torch.zeros(5)}, r"vocab_embed\.embedding has shape \[5\]"),
        ({**WEIGHTS, "rotary_emb.inv_freq": torch.ones(3)}, r"3 frequencies, which do not fit a width of 16"),
        ({**WEIGHTS, "rotary_emb.inv_freq": torch.ones(8)}, r"it says 2 heads, they have 1"),
        ({**WEIGHTS, "rotary_emb.inv_freq": torch.ones(4)}, r"another base than 10000"),
    ],
)
def test_weights_that_do_not_fit_are_named(tensors: State, message: str, tmp_path: Path, tokenizer: str) -> None:
    home = write_hub(tmp_path / "hub", HUB, prefixed(tensors))
    with pytest.raises(ValueError, match=message):
        engine.load_model(str(home), "cpu", tokenizer=tokenizer)


@pytest.mark.parametrize(
    ("config", "tensors", "message"),
    [
        ({**BD3LM, "block_size": 4}, WEIGHTS, "block diffusion model, whose attention is causal over blocks"),
        ({**HUB, "n_blocks": 12}, WEIGHTS, "it says 12 blocks, they have 3"),
        ({**HUB, "hidden_dim": 768}, WEIGHTS, "it says 768 wide, they have 16"),
        ({**HUB, "model_length": 1 << 30}, WEIGHTS, "claims a length of 1073741824"),
        ({**HUB, "parameterization": "mean"}, WEIGHTS, "of the parameterization 'mean': those read are subs"),
        ({**HUB, "algo": {"name": "duo_base"}}, WEIGHTS, "of the kind 'duo_base': those read are subs"),
        ({**HUB, "parameterization": "subs"}, CAUSAL, "configured as MDLM, but has no modulation"),
        ({**HUB, "parameterization": "ar"}, WEIGHTS, "configured as AR, but its blocks are modulated"),
        ({**SEDD, "graph": {"type": "uniform"}}, WEIGHTS, "diffuses to uniform noise"),
    ],
)
def test_what_is_not_read_says_so(
    config: dict[str, Any], tensors: State, message: str, tmp_path: Path, tokenizer: str
) -> None:
    home = write_hub(tmp_path / "hub", config, tensors)
    with pytest.raises(ValueError, match=message) as error:
        engine.load_model(str(home), "cpu", tokenizer=tokenizer)
    assert "\n" not in str(error.value)


def test_rotary_frequencies_rounded_to_bfloat16_are_made_exact(tmp_path: Path, tokenizer: str) -> None:
    rounded = {name: tensor.bfloat16() for name, tensor in WEIGHTS.items()}
    exact = {name: tensor.float() for name, tensor in rounded.items()}
    exact["rotary_emb.inv_freq"] = WEIGHTS["rotary_emb.inv_freq"]
    tokens, outputs = canvas(), []
    for name, tensors in (("rounded", rounded), ("exact", exact)):
        home = write_hub(tmp_path / name, HUB, prefixed(tensors))
        outputs.append(
            engine.load_model(str(home), "cpu", "float32", tokenizer=tokenizer).encode(tokens, torch.ones(2))
        )
    torch.testing.assert_close(*outputs)


@pytest.mark.parametrize("cut", [10, 5000])
def test_half_a_lightning_file_is_one_line_of_error(cut: int, tmp_path: Path, tokenizer: str) -> None:
    path = lightning(tmp_path / "x.ckpt")
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ValueError, match=r"x\.ckpt") as error:
        engine.load_model(str(path), "cpu", tokenizer=tokenizer)
    assert "\n" not in str(error.value)


def test_the_mask_is_the_one_requested_or_configured_or_known_to_the_tokenizer(tmp_path: Path, tokenizer: str) -> None:
    home = write_hub(tmp_path / "hub", HUB, prefixed(WEIGHTS))
    assert engine.load_model(str(home), "cpu", tokenizer=tokenizer, mask_id=7).mask_id == 7
    configured = write_hub(tmp_path / "configured", {**HUB, "mask_index": 9}, prefixed(WEIGHTS))
    assert engine.load_model(str(configured), "cpu", tokenizer=tokenizer).mask_id == 9
    own = write_tokenizer(tmp_path / "own.json", "[MASK]", "[PAD]")
    wide = write_hub(tmp_path / "wide", {**HUB, "vocab_size": VOCAB + 1}, prefixed(state(vocab=VOCAB + 1)))
    assert engine.load_model(str(wide), "cpu", tokenizer=str(own)).mask_id == MASK
    with pytest.raises(ValueError, match="pass --mask-id with a number of 0 to 258"):
        engine.load_model(str(wide), "cpu", tokenizer=tokenizer)
    with pytest.raises(ValueError, match=r"900 is not a token of .*: pass --mask-id"):
        engine.load_model(str(home), "cpu", tokenizer=tokenizer, mask_id=900)


def test_a_tokenizer_with_too_many_tokens_is_refused(tmp_path: Path) -> None:
    home = write_hub(tmp_path / "hub", HUB, prefixed(WEIGHTS))
    large = write_tokenizer(tmp_path / "large.json", *(f"<{i}>" for i in range(9)))
    with pytest.raises(ValueError, match=r"the tokenizer has 266 tokens, .* 258: .* --tokenizer"):
        engine.load_model(str(home), "cpu", tokenizer=str(large))


def test_an_ar_model_needs_a_token_that_begins_texts(tmp_path: Path) -> None:
    home = write_hub(tmp_path / "hub", {**BD3LM, "causal": True}, prefixed(CAUSAL))
    nameless = write_tokenizer(tmp_path / "t.json")
    nameless.write_text(nameless.read_text().replace("<|endoftext|>", "<|over|>"))
    with pytest.raises(ValueError, match=r"no token that begins a text, such as <\|endoftext\|>"):
        engine.load_model(str(home), "cpu", tokenizer=str(nameless))


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, which itself cannot be reached."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def cache(home: Path, repo: str, *more: str) -> None:
    """A tokenizer in the layout of the hub's cache."""
    place = home / f"models--{repo.replace('/', '--')}"
    write_tokenizer(place / "snapshots" / "abc123" / "tokenizer.json", *more)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc123")


@pytest.mark.parametrize("repo", ["gpt2", "openai-community/gpt2"])
def test_the_tokenizer_of_gpt2_is_taken_from_the_hubs_cache(repo: str, tmp_path: Path, offline: Path) -> None:
    home = write_hub(tmp_path / "hub", HUB, prefixed(WEIGHTS))
    with pytest.raises(ValueError, match=r"gpt2's is not in the local cache .*: pass one with --tokenizer PATH"):
        engine.load_model(str(home), "cpu")
    cache(offline, repo)
    assert engine.load_model(str(home), "cpu").codec.size == END + 1


@pytest.mark.parametrize(
    ("chosen_settings", "known"),
    [
        ({"T": 500}, Discrete(500)), ({"T": 20, "subs_masking": True}, Discrete(20, subs_masking=True)),
        ({"T": 0}, None), ({"T": "many"}, None), ({"T": 10**9}, None), ({"T": True}, None),
    ],
)  # fmt: skip
def test_the_steps_of_d3pm_are_those_of_its_settings(
    chosen_settings: dict[str, Any], known: Discrete | None, tmp_path: Path
) -> None:
    path = lightning(tmp_path / "d.ckpt", "d3pm", **chosen_settings)
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json")
    assert engine.load_model(str(path), "cpu", tokenizer=str(tokenizer)).loaded.discrete == known


def test_a_tokenizer_beside_the_weights_is_used_unless_another_is_requested(tmp_path: Path, offline: Path) -> None:
    path = lightning(tmp_path / "run" / "x.ckpt")
    write_tokenizer(path.parent / "tokenizer.json")
    assert engine.load_model(str(path), "cpu").codec.size == END + 1
    with_mask = write_tokenizer(tmp_path / "other" / "tokenizer.json", "[MASK]")
    cache(offline, "some/one", "[MASK]")
    for requested in (with_mask, with_mask.parent, "some/one"):
        assert engine.load_model(str(path), "cpu", tokenizer=str(requested)).codec.size == VOCAB


@pytest.mark.parametrize(
    ("requested", "message"),
    [
        ("/no/where/tokenizer.json", "there is no tokenizer file '/no/where/tokenizer.json'"),
        ("some/one", "'some/one' is neither a file or directory nor on the hub: HF_HUB_OFFLINE is set"),
        ("a b", "'a b' is neither a file or directory nor on the hub: that is not the name"),
        (".", "has no tokenizer.json"),
    ],
)
def test_a_tokenizer_that_is_not_there_says_so(
    requested: str, message: str, tmp_path: Path, offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = write_hub(tmp_path / "hub", HUB, prefixed(WEIGHTS))
    with pytest.raises(ValueError, match=message):
        engine.load_model(str(home), "cpu", tokenizer=requested)


def test_loading_reports_its_bytes_and_can_be_stopped(tmp_path: Path, tokenizer: str) -> None:
    path = lightning(tmp_path / "x.ckpt")
    seen: list[tuple[str, int, int]] = []
    engine.load_model(str(path), "cpu", tokenizer=tokenizer, progress=lambda *report: seen.append(report))
    assert len(seen) > 40
    assert seen[-1][1] == seen[-1][2] == 4 * sum(tensor.numel() for tensor in AVERAGE.values())

    def stop(stage: str, done: int, total: int) -> None:
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError):
        engine.load_model(str(path), "cpu", tokenizer=tokenizer, progress=stop)
