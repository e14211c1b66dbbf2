"""Tokenizers of every common kind: what a token's piece is, and what is read out of a prompt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders
from transformers import BertTokenizer, ByT5Tokenizer, EsmTokenizer, PreTrainedTokenizerFast

from engine.models.text import Codec
from tests.engine import library

KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte level": lambda: library.byte_level(["<|endoftext|>"]),
    "word pieces": library.word_piece,
    "meta space": library.meta_space,
    "byte fallback": library.byte_fallback,
    "word ends": library.word_ends,
    "whole words": library.whole_words,
}
TEXT = "the cat sat"


@pytest.fixture
def esm(tmp_path: Path) -> Codec:
    library.write_esm(tmp_path)
    return Codec.of(EsmTokenizer(str(tmp_path / "vocab.txt")))


@pytest.mark.parametrize("kind", KINDS)
def test_the_pieces_of_a_text_are_the_text(kind: str) -> None:
    codec = Codec(KINDS[kind]())
    ids = codec.encode(TEXT)
    assert len(ids) >= 3
    assert "".join(map(codec.piece, ids)).strip() == codec.decode(ids).strip() == TEXT


@pytest.mark.parametrize("kind", ["byte level", "byte fallback", "meta space"])
def test_words_keep_the_space_before_them(kind: str) -> None:
    codec = Codec(KINDS[kind]())
    assert sum(piece.startswith(" ") for piece in map(codec.piece, codec.encode(TEXT))) >= 2


def test_a_later_piece_of_a_word_joins_it() -> None:
    codec = Codec(library.word_piece())
    assert [codec.piece(i) for i in codec.encode("dog singing, cats")] == [" dog", " sing", "ing", " ,", " cat", "s"]


def test_the_end_of_a_word_brings_its_space() -> None:
    codec = Codec(library.word_ends())
    assert "".join(map(codec.piece, codec.encode("dog log"))) == "dog log "


def test_bytes_without_a_piece_are_shown_as_what_they_are() -> None:
    codec = Codec(library.byte_fallback())
    ids = codec.encode("a\né")
    pieces = [codec.piece(i) for i in ids]
    assert pieces[-3:] == ["\n", "\ufffd", "\ufffd"]
    assert codec.decode(ids) == "a\né"


def test_a_tokenizer_without_a_decoder_is_read_by_what_cut_the_text() -> None:
    whole = library.byte_level(["<|endoftext|>"])
    described = Codec(whole)
    whole.decoder = None
    undescribed = Codec(whole)
    ids = described.encode(TEXT)
    assert [undescribed.piece(i) for i in ids] == [described.piece(i) for i in ids]


def test_special_tokens_are_shown_by_name() -> None:
    codec = Codec(library.word_piece())
    assert codec.pieces(5) == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    assert codec.decode([2, 36, 4]).split() == ["[CLS]", codec.piece(36).strip(), "[MASK]"]


def test_a_number_that_is_no_token_is_shown_as_a_number() -> None:
    codec = Codec(library.word_piece())
    assert [codec.piece(i) for i in (codec.size, codec.size + 7, -1)] == [
        f"<{codec.size}>",
        f"<{codec.size + 7}>",
        "<-1>",
    ]
    assert codec.decode([36, codec.size, -1]) == codec.decode([36])


@pytest.mark.parametrize(
    ("kind", "name"), [("word pieces", "[SEP]"), ("byte fallback", "</s>"), ("byte level", "<|endoftext|>")]
)
def test_a_special_token_in_a_prompt_is_text_unless_it_is_requested(kind: str, name: str) -> None:
    codec = Codec(KINDS[kind]())
    special = [i for i in range(codec.size) if codec.piece(i) == name]
    assert len(special) == 1
    assert special[0] not in codec.encode(f"the {name}")
    assert codec.encode(f"the {name}", special=True)[-1] == special[0]


def test_a_file_that_cuts_or_fills_every_text_does_not() -> None:
    tokenizer = library.word_piece()
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=50)
    assert len(Codec(tokenizer).encode("the cat sat on the mat")) == 6


def test_residues_are_written_without_spaces(esm: Codec) -> None:
    ids = esm.encode("MKTW")
    assert [esm.piece(i) for i in ids] == ["M", "K", "T", "W"]
    assert esm.decode(ids) == "MKTW"


def test_residues_are_read_with_spaces_or_without(esm: Codec) -> None:
    assert esm.encode("M K\nT W") == esm.encode("MKTW") == [library.ESM_WORDS.index(c) for c in "MKTW"]


def test_special_tokens_among_residues_are_read_only_if_requested(esm: Codec) -> None:
    cls, mask = (library.ESM_WORDS.index(name) for name in ("<cls>", "<mask>"))
    assert esm.encode("<cls>MK<mask>", special=True) == [cls, *esm.encode("MK"), mask]
    assert not {cls, mask} & set(esm.encode("<cls>MK<mask>"))
    assert esm.decode([cls, *esm.encode("MK"), mask]) == "<cls>MK<mask>"


def test_residues_in_a_list_of_words_are_residues(tmp_path: Path) -> None:
    """AntiBERTy's vocabulary is BERT's kind."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"ACDEFGHIKLMNPQRSTVWY"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    codec = Codec.of(BertTokenizer.from_pretrained(str(tmp_path), do_lower_case=False))
    assert codec.encode("EVQL") == [words.index(c) for c in "EVQL"]
    assert codec.decode(codec.encode("E V Q L")) == "EVQL"
    assert codec.piece(4) == "[MASK]"


def test_a_tokenizer_that_is_a_program_has_pieces_too() -> None:
    codec = Codec.of(ByT5Tokenizer())
    ids = codec.encode("the cat")
    assert len(ids) == 7
    assert "".join(map(codec.piece, ids)) == codec.decode(ids) == "the cat"


def test_a_fast_tokenizer_is_its_file() -> None:
    fast = PreTrainedTokenizerFast(tokenizer_object=library.word_piece())
    assert Codec.of(fast).pieces(40) == Codec(library.word_piece()).pieces(40)


def test_punctuation_is_left_where_the_decoder_leaves_it() -> None:
    tokenizer = library.word_piece()
    tokenizer.decoder = decoders.WordPiece(cleanup=True)
    codec = Codec(tokenizer)
    assert codec.decode(codec.encode("the cat, the dog.")) == "the cat, the dog."
