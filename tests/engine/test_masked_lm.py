"""Masked language models of the transformers library, from directories as the hub has them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import engine
from engine.models import TextModel, load_model
from tests.engine import library
from tests.engine.malicious import small

SMALL = library.SMALL
ROBERTA_ROOM = SMALL["max_position_embeddings"] - 2 - 2
"""Positions 0 and 1 of the table are not used; two more go to <s> and </s>."""


class Kind(NamedTuple):
    """A kind of model: the library's class and settings, its tokenizer's files, what frames a text, how much fits."""

    name: str
    config: dict[str, Any]
    tokenizer: Callable[[Path], None]
    before: list[int]
    after: list[int]
    longest: int
    tensor: str = ""
    """one that no model of the kind can do without"""


BERT = {**SMALL, "vocab_size": len(library.BERT_WORDS)}
KINDS = {
    "bert": Kind("BertForMaskedLM", BERT, library.write_bert, [2], [3], 22, "bert.encoder.layer.1.output.dense.weight"),
    "roberta": Kind(
        "RobertaForMaskedLM",
        {**SMALL, "vocab_size": 300, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
        library.write_roberta,
        [0],
        [2],
        ROBERTA_ROOM,
        "lm_head.dense.weight",
    ),
    "modernbert": Kind(
        "ModernBertForMaskedLM",
        {**BERT, "local_attention": 6, "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3,
         "bos_token_id": 2, "eos_token_id": 3},
        library.write_word_piece,
        [2],
        [3],
        22,
        "head.dense.weight",
    ),
    "esm": Kind(
        "EsmForMaskedLM",
        {**SMALL, "vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32, "position_embedding_type": "rotary",
         "token_dropout": True},
        library.write_esm,
        [0],
        [2],
        22,
        "esm.encoder.layer.0.attention.self.query.weight",
    ),
    "distilbert": Kind(
        "DistilBertForMaskedLM",
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 24,
         "vocab_size": len(library.BERT_WORDS)},
        library.write_word_piece,
        [2],
        [3],
        22,
        "vocab_transform.weight",
    ),
    "electra": Kind(
        "ElectraForMaskedLM", {**BERT, "embedding_size": 16}, library.write_word_piece, [2], [3], 22,
        "generator_predictions.dense.weight",
    ),
}  # fmt: skip
WHOLE = Kind("DebertaV2ForMaskedLM", {**BERT, "legacy": False}, library.write_word_piece, [2], [3], 22)
"""Its head reads the embeddings as well, so that it cannot be run apart."""


class Made(NamedTuple):
    home: Path
    plain: Any
    """the library's own model, which nothing here has touched"""
    kind: Kind


def make(kind: Kind, home: Path) -> Made:
    plain = library.made(kind.name, **kind.config)
    kind.tokenizer(library.saved(plain, home))
    return Made(home, plain, kind)


@pytest.fixture(scope="module", params=KINDS)
def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(KINDS[request.param], tmp_path_factory.mktemp(request.param))


@pytest.fixture
def bert(tmp_path: Path) -> Made:
    return make(KINDS["bert"], tmp_path / "bert")


def canvas(model: TextModel, length: int, rows: int = 3) -> Tensor:
    """Masks among ordinary tokens."""
    noise = torch.Generator().manual_seed(1)
    tokens = torch.randint(5, min(model.vocab_size, 30), (rows, length), generator=noise)
    return tokens.masked_fill(torch.rand(tokens.shape, generator=noise) < 0.4, model.mask_id)


def by_hand(made: Made, tokens: Tensor) -> Tensor:
    """Logits [B, L, V] of the library's model on the canvas between the special tokens written out."""
    before, after = (torch.tensor(ids).expand(len(tokens), -1) for ids in (made.kind.before, made.kind.after))
    framed = torch.cat((before, tokens, after), 1)
    return made.plain(input_ids=framed).logits[:, 1:-1]


def test_logits_are_those_of_the_library(each: Made) -> None:
    model = load_model(str(each.home), "cpu")
    tokens = canvas(model, 9)
    got = model.project(model.encode(tokens, torch.full((3,), 0.4)).flatten(0, 1)).view(3, 9, -1)
    expected = by_hand(each, tokens)
    assert expected.std() > 0.1
    proposed = torch.isfinite(got)
    torch.testing.assert_close(got[proposed], expected[proposed], atol=1e-4, rtol=1e-4)
    assert proposed.flatten(0, 1).all(0).sum() > 20


def test_the_head_runs_on_the_rows_requested_alone(each: Made) -> None:
    model = load_model(str(each.home), "cpu")
    assert model.network.separable
    tokens = canvas(model, 9)
    where = torch.zeros(3, 9, dtype=torch.bool)
    where[0, [2, 7]], where[2, 0] = True, True
    hidden = model.encode_rows(tokens, torch.zeros(3), where)
    assert hidden.shape[0] == 3
    assert hidden.shape[1] != model.vocab_size
    got, expected = model.project(hidden), by_hand(each, tokens)[where]
    proposed = torch.isfinite(got)
    torch.testing.assert_close(got[proposed], expected[proposed], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strategy", ["remdm-cap", "left-to-right", "low-confidence"])
def test_samples_are_text_without_masks_or_special_tokens(each: Made, strategy: str) -> None:
    model = load_model(str(each.home), "cpu")
    ids = engine.sample(model, engine.make_strategy(strategy), steps=7, length=12, count=3, top_p=1.0)
    special = {model.mask_id, *each.kind.before, *each.kind.after}
    assert not special & set(ids.flatten().tolist())
    assert "[" not in model.codec.decode(ids[0].tolist())


def test_the_longest_canvas_is_the_longest_that_the_positions_allow(each: Made) -> None:
    model = load_model(str(each.home), "cpu")
    assert model.max_length == each.kind.longest
    tokens = canvas(model, each.kind.longest)
    got = model.project(model.encode(tokens, torch.zeros(3))[0])
    proposed = torch.isfinite(got)
    torch.testing.assert_close(got[proposed], by_hand(each, tokens)[0][proposed], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match=f"length {each.kind.longest + 1} is beyond the model's"):
        engine.sample(model, engine.make_strategy("mdlm"), length=each.kind.longest + 1)


def test_a_table_of_positions_ends_where_it_is_declared_to(each: Made) -> None:
    if any("position_embeddings" in name for name, _ in each.plain.named_parameters()):
        with pytest.raises((IndexError, RuntimeError)):
            by_hand(each, torch.full((1, each.kind.longest + 1), 6))


def test_a_loaded_model_says_what_it_is(each: Made) -> None:
    info = load_model(str(each.home), "cpu").info
    assert info.kind == each.kind.name
    assert info.parameters == each.plain.num_parameters()
    assert (info.dtype, info.device, info.backend, info.causal) == ("float32", "cpu", "sdpa", False)
    assert any("is tied to" in note for note in info.notes)
    assert any(note.startswith("never proposed: ") for note in info.notes)
    assert len(info.pieces) == info.vocab_size == each.plain.config.vocab_size


def test_a_missing_tensor_is_named_and_so_is_the_nearest(each: Made, tmp_path: Path) -> None:
    weights = load_file(each.home / "model.safetensors")
    name = each.kind.tensor
    assert name in weights
    renamed = name.replace(".weight", ".wait")
    for changed, message in (
        ({k: v for k, v in weights.items() if k != name}, f"{name} is missing"),
        ({renamed if k == name else k: v for k, v in weights.items()}, f"{name} is missing .nearest: {renamed}."),
        (weights | {"extra.weight": torch.zeros(2)}, "extra.weight is unexpected"),
        (weights | {name: torch.zeros(2, 3)}, rf"{name} has shape \[2, 3\], expected \["),
    ):
        home = copied(each.home, tmp_path)
        save_file(changed, home / "model.safetensors")
        with pytest.raises(ValueError, match=message):
            load_model(str(home), "cpu")


def copied(home: Path, to: Path) -> Path:
    """The directory again, to be spoilt."""
    for path in home.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def respelt(home: Path, **changes: Any) -> None:
    path = home / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_is_known_to_be_needless_is_left_out_and_reported(bert: Made) -> None:
    path = bert.home / "model.safetensors"
    needless = {
        "bert.embeddings.position_ids": torch.arange(24)[None],
        "bert.pooler.dense.weight": torch.zeros(32, 32),
        "bert.pooler.dense.bias": torch.zeros(32),
        "cls.seq_relationship.weight": torch.zeros(2, 32),
    }
    save_file(load_file(path) | needless, path)
    model = load_model(str(bert.home), "cpu")
    reported = " ".join(model.info.notes)
    assert all(part in reported for part in ("bert.pooler.dense.bias and 1 more", "cls.seq_relationship.weight"))
    tokens = canvas(model, 6)
    got = model.encode(tokens, torch.zeros(3))
    torch.testing.assert_close(got, load_model(str(make_again(bert)), "cpu").encode(tokens, torch.zeros(3)))


def make_again(made: Made) -> Path:
    return make(made.kind, made.home.parent / "again").home


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_that_torch_saved_are_the_same_weights(bert: Made, zipped: bool) -> None:
    model = load_model(str(bert.home), "cpu")
    (bert.home / "model.safetensors").unlink()
    torch.save(bert.plain.state_dict(), bert.home / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    tokens = canvas(model, 6)
    again = load_model(str(bert.home), "cpu").encode(tokens, torch.zeros(3))
    torch.testing.assert_close(again, model.encode(tokens, torch.zeros(3)))


class Malicious:
    def __init__(self, to: Path) -> None:
        self.to = to

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.to),)


def test_nothing_that_torch_saved_is_run(bert: Made, tmp_path: Path) -> None:
    (bert.home / "model.safetensors").unlink()
    name = "bert.embeddings.LayerNorm.weight"
    torch.save(bert.plain.state_dict() | {name: Malicious(tmp_path / "run")}, bert.home / "pytorch_model.bin")
    with pytest.raises(ValueError, match=name):
        load_model(str(bert.home), "cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "claim",
    [
        {"hidden_size": 4_000_000},
        {"vocab_size": 10**10},
        {"num_hidden_layers": 10**9},
        {"max_position_embeddings": 10**9},
    ],
    ids=str,
)
def test_a_configuration_that_claims_more_than_the_file_holds_takes_no_memory(
    bert: Made, claim: dict[str, int]
) -> None:
    respelt(bert.home, **claim)
    with small(), pytest.raises(ValueError, match="the weights do not fit the configuration: it claims"):
        load_model(str(bert.home), "cpu")


@pytest.mark.parametrize(
    "broken", [{"hidden_size": "wide"}, {"hidden_act": "no such"}, {"num_attention_heads": 5}], ids=str
)
def test_a_configuration_that_makes_no_sense_is_one_sentence(bert: Made, broken: dict[str, Any]) -> None:
    respelt(bert.home, **broken)
    with pytest.raises(ValueError, match=r"bert cannot be loaded: \w") as error:
        load_model(str(bert.home), "cpu")
    assert "\n" not in str(error.value)


def test_quantised_weights_are_refused(bert: Made) -> None:
    respelt(bert.home, quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(ValueError, match="has quantised weights, which are not read"):
        load_model(str(bert.home), "cpu")


def test_a_mask_that_cannot_be_found_says_how_to_name_one(bert: Made) -> None:
    home = bert.home
    (home / "vocab.txt").unlink()
    library.write_file(library.word_piece(), home)
    with pytest.raises(ValueError, match="names no mask: give its id with --mask-id NUMBER"):
        load_model(str(home), "cpu")
    model = load_model(str(home), "cpu", mask_id=4)
    assert model.mask_id == 4
    tokens = canvas(model, 6)
    got = model.project(model.encode(tokens, torch.zeros(3))[0])
    proposed = torch.isfinite(got)
    torch.testing.assert_close(got[proposed], by_hand(bert, tokens)[0][proposed], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="mask id 999 is outside the vocabulary of"):
        load_model(str(home), "cpu", mask_id=999)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_tokenizer_that_lies_elsewhere_is_named(bert: Made, what: str) -> None:
    """As AntiBERTy ships it: a list of words beside the model's directory."""
    elsewhere = bert.home.parent / "words"
    elsewhere.mkdir()
    (bert.home / "vocab.txt").rename(elsewhere / "vocab.txt")
    with pytest.raises(ValueError, match="has no tokenizer: give one with --tokenizer"):
        load_model(str(bert.home), "cpu")
    named = elsewhere / "vocab.txt" if what == "file" else elsewhere
    model = load_model(str(bert.home), "cpu", tokenizer=str(named))
    assert model.mask_id == 4
    assert model.codec.decode(model.codec.encode("the cat")) == "the cat"


def test_a_tokenizer_file_may_be_named(bert: Made, tmp_path: Path) -> None:
    (bert.home / "vocab.txt").unlink()
    path = tmp_path / "tokenizer.json"
    library.word_piece().save(str(path))
    assert load_model(str(bert.home), "cpu", tokenizer=str(path), mask_id=4).mask_id == 4
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"mask_token": {"content": "[MASK]"}}))
    assert load_model(str(bert.home), "cpu", tokenizer=str(path)).mask_id == 4


@pytest.mark.parametrize(("words", "text"), [("upper", "THE CAT"), ("lower", "the cat")])
def test_a_list_of_words_with_capitals_is_read_as_it_is(tmp_path: Path, words: str, text: str) -> None:
    spelt = [word if word.startswith("[") else getattr(word, words)() for word in library.BERT_WORDS]
    made = make(KINDS["bert"], tmp_path / "bert")
    (made.home / "vocab.txt").write_text("\n".join(spelt), encoding="utf-8")
    codec = load_model(str(made.home), "cpu").codec
    assert 1 not in codec.encode(text)
    assert (1 in codec.encode("The cat")) is (words == "upper")


def test_a_tokenizer_larger_than_the_model_is_refused(bert: Made) -> None:
    with (bert.home / "vocab.txt").open("a") as file:
        file.write("\nfrog")
    with pytest.raises(ValueError, match=r"the tokenizer has \d+ tokens, the model \d+"):
        load_model(str(bert.home), "cpu")


def test_numbers_behind_the_tokenizers_last_are_never_proposed(tmp_path: Path) -> None:
    """Vocabularies are often filled up to a round number."""
    filled = BERT["vocab_size"] + 3
    made = make(KINDS["bert"]._replace(config={**BERT, "vocab_size": filled}), tmp_path / "bert")
    model = load_model(str(made.home), "cpu")
    logits = model.project(model.encode(canvas(model, 6), torch.zeros(3))[0])
    assert (logits[:, -3:] == -torch.inf).all()
    assert "3 ids of the vocabulary are not tokens" in " ".join(model.info.notes)


def test_a_head_that_cannot_be_distinguished_runs_on_everything(tmp_path: Path) -> None:
    made = make(WHOLE, tmp_path / "deberta")
    model = load_model(str(made.home), "cpu")
    assert not model.network.separable
    assert "runs on every position" in " ".join(model.info.notes)
    tokens = canvas(model, 7)
    got = model.project(model.encode(tokens, torch.zeros(3)).flatten(0, 1)).view(3, 7, -1)
    proposed = torch.isfinite(got)
    torch.testing.assert_close(got[proposed], by_hand(made, tokens)[proposed], atol=1e-4, rtol=1e-4)
    assert not (engine.sample(model, engine.make_strategy("mdlm"), steps=4, length=7) == 4).any()


@pytest.mark.parametrize(("attention", "theirs"), [("sdpa", "sdpa"), ("written", "eager")])
def test_the_attention_requested_is_the_one_used(bert: Made, attention: str, theirs: str) -> None:
    model = load_model(str(bert.home), "cpu", "bfloat16", attention=attention)
    assert model.info.backend == attention
    assert model.network._model.config._attn_implementation == theirs


def test_it_computes_in_the_type_requested(bert: Made) -> None:
    model = load_model(str(bert.home), "cpu", "bfloat16")
    assert model.network.dtype == torch.bfloat16
    assert model.network.separable
    tokens = canvas(model, 6)
    got = model.project(model.encode(tokens, torch.zeros(3))[0])
    expected, proposed = by_hand(bert, tokens)[0], torch.isfinite(got)
    assert (got[proposed].float() - expected[proposed]).abs().mean() < 0.1 * expected.std()


def test_progress_is_reported_in_bytes_and_can_cancel(bert: Made) -> None:
    reported: list[tuple[str, int, int]] = []
    load_model(str(bert.home), "cpu", progress=lambda *step: reported.append(step))
    size = sum(tensor.nbytes for tensor in load_file(bert.home / "model.safetensors").values())
    assert reported[-1] == ("reading weights", size, size)

    def cancel(*step: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_model(str(bert.home), "cpu", progress=cancel)


def test_nothing_is_printed(bert: Made, capfd: pytest.CaptureFixture[str]) -> None:
    load_model(str(bert.home), "cpu")
    assert capfd.readouterr() == ("", "")
