"""The network, its folded form, and models in a directory."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

import engine
from engine.data.special_tokens import END_OF_TEXT, MASK
from engine.files.checksums import checksum
from engine.models import checkpoint, load_model, memory_check
from engine.models.dit import DIT, DITConfig
from engine.models.folded import FoldedDIT
from engine.models.protocol import Denoiser, RowDenoiser, device_of, encode_rows
from engine.models.text import Codec
from engine.training.tokenizers import train_tokenizer
from tests.engine.toys import RowToy, Toy

CONFIG = DITConfig(vocab_size=300, hidden_size=24, n_blocks=3, n_heads=3, cond_dim=8, length=20, mask_id=299)


def network(config: DITConfig = CONFIG) -> DIT:
    """A DIT of random weights; those that start at zero would hide what they multiply."""
    noise = torch.Generator().manual_seed(4)
    model = DIT(config)
    for name, p in model.named_parameters():
        p.data = torch.randn(p.shape, generator=noise) * 0.2 + (1.0 if "norm" in name else 0.0)
    return model.eval().requires_grad_(False)


def canvas(rows: int = 4, length: int = 20) -> Tensor:
    noise = torch.Generator().manual_seed(5)
    return torch.randint(CONFIG.vocab_size, (rows, length), generator=noise)


def tokenizer() -> Tokenizer:
    return train_tokenizer(iter(["the cat sat on the mat, the dog on the log. Café!"] * 3), CONFIG.vocab_size)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A model's directory."""
    codec = tokenizer()
    size = codec.get_vocab_size()
    checkpoint.export_model(
        network(replace(CONFIG, vocab_size=size, mask_id=size - 1)), codec.to_str(), tmp_path / "cats"
    )
    return tmp_path / "cats"


def test_the_folded_network_is_the_same_function() -> None:
    model, tokens = network(), canvas()
    folded = FoldedDIT(model)
    t = torch.linspace(0, 1, len(tokens))
    expected = model(tokens, t)
    assert expected.std() > 0.5
    torch.testing.assert_close(folded.project(folded.encode(tokens, t)), expected, atol=1e-4, rtol=1e-4)


def test_the_folded_network_needs_every_modulation() -> None:
    """Each of the weights that start at zero changes the logits here, so that folding them wrongly would show."""
    tokens, t = canvas(), torch.zeros(4)
    expected = network()(tokens, t)
    names = [name for name, _ in network().named_parameters() if not name.startswith("sigma_map.mlp.0.weight")]
    for name in names:
        model = network()
        dict(model.named_parameters())[name].data.mul_(1.5)
        assert not torch.allclose(model(tokens, t), expected, atol=1e-4), name


def test_the_folded_network_is_close_in_bfloat16() -> None:
    model, tokens = network(), canvas()
    folded = FoldedDIT(model, torch.bfloat16)
    expected = model(tokens, torch.zeros(4))
    got = folded.project(folded.encode(tokens, torch.zeros(4)))
    assert got.dtype == torch.bfloat16
    assert (got.float() - expected).abs().mean() < 0.05 * expected.std()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_chosen_rows_are_those_of_the_whole(dtype: torch.dtype) -> None:
    folded, tokens, t = FoldedDIT(network(), dtype), canvas(), torch.zeros(4)
    where = torch.zeros(4, 20, dtype=torch.bool)
    where[0, [3, 19]], where[1, 7], where[3, ::2] = True, True, True
    got = folded.encode_rows(tokens, t, where)
    tolerance = 1e-4 if dtype == torch.float32 else 0.15
    torch.testing.assert_close(got, folded.encode(tokens, t)[where], atol=tolerance, rtol=tolerance)


def test_all_rows_chosen_is_the_whole() -> None:
    folded, tokens, t = FoldedDIT(network()), canvas(), torch.zeros(4)
    where = torch.ones(4, 20, dtype=torch.bool)
    torch.testing.assert_close(
        folded.encode_rows(tokens, t, where), folded.encode(tokens, t).flatten(0, 1), atol=1e-4, rtol=1e-4
    )


def test_a_network_conditioned_on_the_noise_level_is_not_folded() -> None:
    with pytest.raises(ValueError, match="time-conditioned"):
        FoldedDIT(network(replace(CONFIG, time_conditioning=True)))


def test_only_a_time_conditioned_network_takes_the_noise_level() -> None:
    tokens = canvas(1)
    for listens in (False, True):
        model = network(replace(CONFIG, time_conditioning=listens))
        early, late = (model(tokens, torch.tensor([t])) for t in (0.9, 0.1))
        assert torch.equal(early, late) is not listens


def test_the_noise_level_given_to_the_network_is_that_of_its_training() -> None:
    """sigma = -log(1 - (1 - 1e-3) t), through the sinusoid and the two layers written out."""
    model = network(replace(CONFIG, time_conditioning=True))
    first, _, second = model.sigma_map.mlp
    sigma = -math.log(1 - (1 - 1e-3) * 0.4)
    angles = sigma * torch.exp(-math.log(10_000) * torch.arange(128) / 128)
    expected = torch.nn.functional.silu(
        second(torch.nn.functional.silu(first(torch.cat((angles.cos(), angles.sin())))))
    )
    torch.testing.assert_close(model.conditioning(torch.tensor([0.4]))[0], expected)


def test_a_fresh_network_knows_nothing() -> None:
    model = DIT(CONFIG)
    assert not model(canvas(), torch.zeros(4)).any()


def test_positions_matter() -> None:
    model, t = network(), torch.zeros(1)
    tokens = canvas(1)
    swapped = tokens[:, [1, 0, *range(2, 20)]]
    assert not torch.allclose(model(tokens, t)[:, 5], model(swapped, t)[:, 5], atol=1e-4)


def test_the_small_model_has_the_fields_parameters() -> None:
    with torch.device("meta"):
        model = DIT(DITConfig())
    names = {name for name, _ in model.named_parameters()}
    expected = {"vocab_embed.embedding"}
    expected |= {f"sigma_map.mlp.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")}
    for i in range(12):
        expected |= {f"blocks.{i}.{name}.weight" for name in ("norm1", "attn_qkv", "attn_out", "norm2")}
        expected |= {f"blocks.{i}.mlp.{j}.{kind}" for j in (0, 2) for kind in ("weight", "bias")}
        expected |= {f"blocks.{i}.adaLN_modulation.{kind}" for kind in ("weight", "bias")}
    expected |= {"output_layer.norm_final.weight"}
    expected |= {
        f"output_layer.{layer}.{kind}" for layer in ("linear", "adaLN_modulation") for kind in ("weight", "bias")
    }
    assert names == expected
    assert len(names) == 130
    assert set(model.state_dict()) - names == {"rotary_emb.inv_freq"}
    assert round(checkpoint.parameters(model) / 1e6, 1) == 169.6


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocab_size", 0), ("hidden_size", -8), ("n_blocks", 0), ("length", 1 << 21), ("n_heads", 5),
        ("hidden_size", 24.0), ("n_heads", 8), ("mask_id", 300), ("mask_id", -1), ("mask_id", None), ("length", "long"),
        ("time_conditioning", "false"), ("time_conditioning", 1), ("time_conditioning", None),
    ],
)  # fmt: skip
def test_a_shape_that_cannot_be_names_its_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field if field != "n_heads" else "heads"):
        replace(CONFIG, **{field: value})


def test_an_exported_model_is_read_back(tmp_path: Path) -> None:
    model = network()
    checkpoint.export_model(model, "{}", tmp_path, torch.float32)
    again = checkpoint.read_network(tmp_path)
    assert again.config == model.config
    assert not again.training
    assert not any(p.requires_grad for p in again.parameters())
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    files = ["config.json", "model.safetensors", "tokenizer.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*files, *(f"{name}.sha256" for name in files)])


def test_a_model_exported_in_bfloat16_turns_its_positions_exactly(tmp_path: Path) -> None:
    model = network()
    checkpoint.export_model(model, "{}", tmp_path)
    again = checkpoint.read_network(tmp_path)
    assert torch.equal(again.rotary_emb.inv_freq, model.rotary_emb.inv_freq)
    rounded = model.output_layer.linear.weight.bfloat16().float()
    assert torch.equal(again.output_layer.linear.weight, rounded)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(home: Path, missing: str) -> None:
    (home / missing).unlink()
    with pytest.raises(ValueError, match=rf"has no .*{missing}"):
        load_model(str(home), "cpu")


def test_weights_that_do_not_fit_are_named(home: Path) -> None:
    path = home / "model.safetensors"
    checksum(path).unlink()
    whole = load_file(path)
    name = "blocks.1.attn_out.weight"
    for changed, message in (
        ({k: v for k, v in whole.items() if k != name}, f"{name} is missing"),
        (whole | {"blocks.9.extra": torch.zeros(1)}, "blocks.9.extra is unexpected"),
        (whole | {name: torch.zeros(2, 3)}, rf"{name} has shape \[2, 3\], expected \[24, 24\]"),
        ({f"network.{k}": v for k, v in whole.items()}, r"is missing.*and \d+ more"),
    ):
        save_file(changed, path)
        with pytest.raises(ValueError, match=message):
            load_model(str(home), "cpu")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b"[1]"),
        ("config.json", b"3"),
        ("config.json", b"\xff\xfe"),
        ("config.json", b"{}"),
        ("config.json", b'{"format": 2, "kind": "dit"}'),
        ("config.json", b'{"format": 1, "kind": "unet"}'),
        ("config.json", b'{"format": 1, "kind": "dit", "colour": "red"}'),
        ("config.json", b'{"format": 1, "kind": "dit", "hidden_size": "wide"}'),
        ("config.json", b'{"format": 1, "kind": "dit", "hidden_size": 24.0}'),
        ("config.json", b'{"format": 1, "kind": "dit", "n_heads": 7}'),
        ("tokenizer.json", b"not json"),
        ("tokenizer.json", b"{}"),
        ("model.safetensors", b""),
        ("model.safetensors", b"\xff" * 64),
        ("model.safetensors", b"PK\x03\x04"),
    ],
)
def test_a_malformed_file_is_one_line_of_error(home: Path, name: str, content: bytes) -> None:
    (home / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"\w") as error:
        load_model(str(home), "cpu")
    assert "\n" not in str(error.value)


def test_a_cut_off_weights_file_is_named(home: Path) -> None:
    path = home / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"model\.safetensors is not a safetensors file"):
        load_model(str(home), "cpu")


def test_a_tokenizer_larger_than_the_model_is_refused(home: Path) -> None:
    codec = Tokenizer.from_file(str(home / "tokenizer.json"))
    codec.add_tokens(["extra"])
    codec.save(str(home / "tokenizer.json"))
    checksum(home / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"the tokenizer has \d+ tokens, the model \d+"):
        load_model(str(home), "cpu")


def test_a_model_too_large_says_what_it_needs_and_what_is_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_check, "free_bytes", lambda device: 1 << 10)
    with pytest.raises(ValueError, match=r"the weights need 0\.00 GiB on cpu and 0\.00 GiB are free there: choose"):
        load_model(str(home), "cpu")


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown model 'nemo': choose demo, demo-sedd, demo-ar, a directory, a file"):
        load_model("nemo")


def test_an_unknown_dtype_or_device_lists_the_known_ones(home: Path) -> None:
    with pytest.raises(ValueError, match="unknown dtype 'int3': choose auto, float32, bfloat16"):
        load_model(str(home), "cpu", "int3")
    for device in ("abacus", "meta"):
        with pytest.raises(ValueError, match=f"no device '{device}' here: choose auto or one of .*cpu"):
            load_model(str(home), device)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_from_a_directory_samples(home: Path, dtype: str) -> None:
    model = load_model(str(home), "cpu", dtype)
    ids = engine.sample(model, engine.make_strategy("remdm-cap", eta=0.1), steps=6, length=12, count=2)
    assert not (ids == model.mask_id).any()
    info = model.info
    assert (info.dtype, info.device, info.mask_id, info.max_length) == (dtype, "cpu", model.mask_id, 20)
    assert len(info.pieces) == info.vocab_size == model.vocab_size
    assert info.parameters == sum(p.numel() for p in checkpoint.read_network(home).parameters())
    assert "".join(info.pieces[i] for i in ids[0]) == model.codec.decode(ids[0].tolist()) or "\ufffd" in "".join(
        info.pieces[i] for i in ids[0]
    )


def test_the_fast_network_and_the_plain_one_draw_the_same_sample(home: Path) -> None:
    strategy = engine.make_strategy("remdm-conf")
    fast = engine.sample(load_model(str(home), "cpu", "float32"), strategy, steps=12, length=20, count=3)
    plain = engine.sample(checkpoint.read_network(home), strategy, steps=12, length=20, count=3)
    assert torch.equal(fast, plain)


def test_models_and_toys_are_denoisers(home: Path) -> None:
    model = load_model(str(home), "cpu")
    for made in (model, model.network, checkpoint.read_network(home), Toy(), RowToy()):
        assert isinstance(made, Denoiser)
    assert [isinstance(made, RowDenoiser) for made in (model, Toy(), RowToy())] == [True, False, True]
    assert not isinstance(object(), Denoiser)


def test_rows_of_a_model_without_the_shortcut_are_those_of_the_whole() -> None:
    tokens, where = torch.tensor([[0, 5, 1], [5, 5, 2]]), torch.tensor([[False, True, False], [True, False, True]])
    expected = Toy().encode(tokens, torch.zeros(2))[where]
    for model in (Toy(), RowToy()):
        assert torch.equal(encode_rows(model, tokens, torch.zeros(2), where), expected)
    assert device_of(Toy()) == "cpu"


def test_text_goes_there_and_back() -> None:
    codec = Codec(tokenizer())
    for text in ("the cat sat", " the  dog", "Café!", "never seen: žluťoučký 🐈"):
        assert codec.decode(codec.encode(text)) == text


def test_a_special_token_spelt_out_in_a_prompt_is_text() -> None:
    codec = Codec(tokenizer())
    ids = codec.encode(f"a {MASK} b{END_OF_TEXT}")
    assert not {codec.size - 1, 0} & set(ids)
    assert codec.decode(ids) == f"a {MASK} b{END_OF_TEXT}"


def test_pieces_are_text_and_half_characters_are_shown_as_such() -> None:
    codec = Codec(tokenizer())
    pieces = codec.pieces(codec.size + 1)
    assert len(set(pieces)) > 128
    assert pieces[0] == END_OF_TEXT
    assert pieces[codec.size - 1] == MASK
    assert pieces[-1] == f"<{codec.size}>"
    assert "the" in pieces
    ids = codec.encode("🐈")
    assert len(ids) > 1
    assert all(pieces[i] == "\ufffd" for i in ids)
