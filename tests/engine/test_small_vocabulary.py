"""Alphabets as vocabularies: text, bases, residues, with and without tokens of special meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from engine.data.special_tokens import END_OF_TEXT, MASK
from engine.data.texts import load_texts
from engine.evaluation.model_rows import model_rows
from engine.files.run_layout import MODEL
from engine.models import load_model
from engine.models.checkpoint import export_model
from engine.models.dit import DIT, DITConfig
from engine.sampling.batch import sample
from engine.strategies import make_strategy
from engine.training.config_file import read_config
from engine.training.data import prepare
from engine.training.export import export_best
from engine.training.loop import Trainer
from engine.training.tokenizers import existing_tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz "
BASES = "ACGT"
CONFIG = """
objective = "{objective}"
[model]
{size}
hidden_size = 16
n_blocks = 1
n_heads = 2
cond_dim = 8
length = 16
[data]
tokenizer = {tokenizer!r}
[run]
steps = 2
batch = 4
ema = 0.9
validation_windows = 2
precision = "float32"
"""


def alphabet(path: Path, tokens: Sequence[str], split: bool = True) -> Path:
    unknown = "[UNK]" if "[UNK]" in tokens else None
    made = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated") if split else pre_tokenizers.WhitespaceSplit()
    made.save(str(path))
    return path


def text(path: Path, letters: str) -> Path:
    drawn = np.random.default_rng(0).choice(list(letters), 2000)
    path.write_text("".join(drawn))
    return path


@pytest.mark.parametrize(
    ("tokens", "letters", "split", "size", "requested"),
    [
        ([END_OF_TEXT, *LETTERS, "[UNK]", MASK], LETTERS, True, 30, (None, 30)),
        ([*LETTERS, "[UNK]"], LETTERS, True, 30, (None, 28, 30)),
        ([*BASES], BASES, True, 6, (None, 4, 6)),
        (["[CLS]", "[SEP]", MASK, "[PAD]", *BASES], BASES, True, 9, (None, 9)),
        (["<pad>", *"LAGVSERTIDPKQNFYMHWC", "[UNK]"], "LAGVSERTIDPKQNFYMHWC", False, 24, (None,)),
    ],
    ids=["text8", "text8-bare", "bases", "mask-inside", "residues-by-spaces"],
)
@pytest.mark.parametrize("objective", ["mdlm", "ar"])
def test_an_alphabet_is_trained_on_and_sampled_from(
    tmp_path: Path,
    tokens: list[str],
    letters: str,
    split: bool,
    size: int,
    requested: tuple[int | None, ...],
    objective: str,
) -> None:
    tokenizer, data = alphabet(tmp_path / "letters.json", tokens, split), text(tmp_path / "a.txt", letters)
    for number in requested:
        size_line = "" if number is None else f"vocab_size = {number}"
        config = read_config(CONFIG.format(objective=objective, size=size_line, tokenizer=str(tokenizer)))
        assert config.model.vocab_size == size
    corpus = prepare([data], config.model.vocab_size, tmp_path / "cache", tokenizer=str(tokenizer))
    trainer = Trainer(config, corpus, tmp_path / "run", torch.device("cpu"))
    list(trainer.run())
    export_best(trainer)
    model = load_model(str(tmp_path / "run" / MODEL), "cpu")
    words = "".join(letter for letter in data.read_text()[:12])
    ids = model.codec.encode(words)
    assert ids == corpus.splits["train"][:12].tolist()
    assert model.codec.decode(ids) == words
    strategy = make_strategy("left-to-right" if objective == "ar" else "remdm-cap")
    rows = sample(model, strategy, steps=8, length=8, count=2, seed=0)
    assert not bool((rows == model.mask_id).any())
    model_rows(model, load_texts([data]), length=16, limit=2)


def test_another_size_is_refused_with_the_tokenizers(tmp_path: Path) -> None:
    tokenizer = alphabet(tmp_path / "letters.json", [*BASES])
    for number in (3, 7, 600):
        given = CONFIG.format(objective="mdlm", size=f"vocab_size = {number}", tokenizer=str(tokenizer))
        with pytest.raises(ValueError, match=rf"model\.vocab_size is {number}, .*letters\.json has 6 tokens"):
            read_config(given)


def test_a_text_that_the_tokenizer_has_no_token_for_is_a_sentence(tmp_path: Path) -> None:
    tokenizer = alphabet(tmp_path / "letters.json", [*BASES])
    with pytest.raises(ValueError, match=r"a\.txt, line 1: the tokenizer cannot read the text: .*UNK"):
        prepare([text(tmp_path / "a.txt", LETTERS)], 6, tmp_path / "cache", tokenizer=str(tokenizer))


KMERS = [a + b + c for a in BASES for b in BASES for c in BASES]


def test_a_closed_vocabulary_of_words_is_trained_on(tmp_path: Path) -> None:
    tokenizer, data = alphabet(tmp_path / "kmers.json", KMERS, split=False), tmp_path / "a.txt"
    data.write_text(" ".join(np.random.default_rng(0).choice(KMERS, 1000)))
    config = read_config(CONFIG.format(objective="mdlm", size="", tokenizer=str(tokenizer)))
    corpus = prepare([data], config.model.vocab_size, tmp_path / "cache", tokenizer=str(tokenizer))
    trainer = Trainer(config, corpus, tmp_path / "run", torch.device("cpu"))
    list(trainer.run())
    export_best(trainer)
    model = load_model(str(tmp_path / "run" / MODEL), "cpu")
    assert model.codec.encode("ACG TTT") == [KMERS.index("ACG"), KMERS.index("TTT")]
    assert sample(model, make_strategy("mdlm"), steps=4, length=8, count=1, seed=0).shape == (1, 8)


UNKNOWN = [
    ("a.txt", "ACG TTT\n\nACG\nACN TTT\n", "a.txt, line 4"),
    ("a.jsonl", '{"text": "ACG"}\n{"text": "AC TTT"}\n', "a.jsonl, line 2"),
    ("a.csv", "text\nACG\nTTT\nGATTACA\n", "a.csv, line 4"),
]
"""Files with a text that no sequence of KMERS is, and its place."""


@pytest.mark.parametrize(("name", "content", "place"), UNKNOWN)
def test_a_text_that_a_closed_vocabulary_lacks_is_named(tmp_path: Path, name: str, content: str, place: str) -> None:
    tokenizer = alphabet(tmp_path / "kmers.json", KMERS, split=False)
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=f"{place}: the tokenizer cannot read the text"):
        prepare([tmp_path / name], 66, tmp_path / "cache", tokenizer=str(tokenizer))


@pytest.mark.parametrize("layout", ["windows", "wrap"])
@pytest.mark.parametrize(("name", "content", "place"), UNKNOWN)
def test_a_likelihood_of_such_a_text_names_it_alike(
    tmp_path: Path, name: str, content: str, place: str, layout: str
) -> None:
    tokenizer = existing_tokenizer(str(alphabet(tmp_path / "kmers.json", KMERS, split=False)))
    size = tokenizer.get_vocab_size()
    shape = DITConfig(vocab_size=size, hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8, length=16, mask_id=size - 1)
    export_model(DIT(shape), tokenizer.to_str(), tmp_path / "model")
    model = load_model(str(tmp_path / "model"), "cpu")
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"{place}: the tokenizer of .*model rejects the text"):
        model_rows(model, load_texts([tmp_path / name]), layout=layout, length=4)
    # what is wrong with the length has no place
    (tmp_path / name).write_text(content.replace("N", "G").replace("AC ", "ACG ").replace("GATTACA", "GAT"))
    with pytest.raises(ValueError, match=r"^the text has \d tokens: "):
        model_rows(model, load_texts([tmp_path / name]), layout=layout, length=16)


def test_a_text_of_a_data_set_is_named_by_its_number(tmp_path: Path) -> None:
    """The last so many of the training texts are those that a run is validated on."""
    tokenizer = alphabet(tmp_path / "kmers.json", KMERS, split=False)

    def from_hub(name: str, split: str) -> Iterator[str]:
        return iter(["ACG TTT", "ACN"] if split == "train" else ["ACG"])

    with pytest.raises(ValueError, match="ptb, train text 2: the tokenizer cannot read the text"):
        prepare([Path("ptb")], 66, tmp_path / "cache", tokenizer=str(tokenizer), from_hub=from_hub)
    assert load_texts("ptb", from_hub=lambda name, split: iter(["", "a b"])).places == ("ptb, validation text 2",)


def test_a_tokenizer_that_fills_and_cuts_texts_does_neither_in_training(tmp_path: Path) -> None:
    path = alphabet(tmp_path / "letters.json", [*BASES])
    changed = Tokenizer.from_file(str(path))
    changed.enable_truncation(5)
    changed.enable_padding(length=9, pad_token="A")
    changed.save(str(path))
    assert json.loads(path.read_text())["truncation"]
    corpus = prepare([text(tmp_path / "a.txt", BASES)], 6, tmp_path / "cache", tokenizer=str(path))
    assert sum(map(len, corpus.splits.values())) > 2000


def test_a_tokenizer_that_skips_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    Tokenizer(models.WordLevel({"[UNK]": 0, "A": 1, "C": 2, "G": 4}, unk_token="[UNK]")).save(str(path))
    with pytest.raises(ValueError, match="skips or repeats numbers of tokens: renumber its vocabulary from 0"):
        existing_tokenizer(str(path))
