"""Text files to token windows."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from engine.data.documents import documents
from engine.data.special_tokens import END_OF_TEXT, MASK
from engine.training.data import Corpus, Document, prepare
from scripts import demo_corpus
from tests.engine.texts import VOCABULARY, write_texts


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_typography_is_unified(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("“Don’t”, she said – ‘no’; co\u00adop\u2010er\u2011ate\xa0now`\r\n„Ja“".encode())
    assert list(documents([path])) == [Document("\"Don't\", she said — 'no'; coop-er-ate now'\n\"Ja\"", "train")]


def test_documents_come_from_every_kind_of_file_in_order(tmp_path: Path) -> None:
    plain, rows, packed = tmp_path / "a.txt", tmp_path / "b.jsonl", tmp_path / "c.jsonl.gz"
    plain.write_text("one", encoding="utf-8")
    rows.write_text(lines({"text": "two"}, {"text": "thrée", "split": "validation"}), encoding="utf-8")
    packed.write_bytes(gzip.compress(lines({"text": "four", "id": 4}).encode()))
    assert list(documents([plain, rows, packed])) == [
        Document("one", "train"),
        Document("two", "train"),
        Document("thrée", "validation"),
        Document("four", "train"),
    ]


@pytest.mark.parametrize("bad", ["{", '"text"', "[]", "3", '{"txt": "a"}', '{"text": 3}', '{"text": null}'])
def test_a_bad_line_is_named(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(lines({"text": "fine"}) + bad + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 2: expected a JSON object with a string \"text\""):
        list(documents([path]))


@pytest.mark.parametrize("name", ["latin.txt", "latin.jsonl"])
def test_a_file_in_another_encoding_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes('{"text": "café"}\n'.encode("latin-1"))
    with pytest.raises(ValueError, match=f"{name} is not UTF-8 text"):
        list(documents([path]))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        prepare([tmp_path / "none.txt"], VOCABULARY, tmp_path / "cache")


def test_a_directory_is_the_files_of_text_below_it(tmp_path: Path) -> None:
    whole = write_texts(tmp_path)
    home = tmp_path / "several"
    (home / "deep").mkdir(parents=True)
    whole.rename(home / "deep" / "nonsense.jsonl")
    (home / "a.txt").write_text("first of all", encoding="utf-8")
    (home / "picture.png").write_bytes(b"\xff")
    found = prepare([home], VOCABULARY, tmp_path / "cache")
    single = prepare([home / "a.txt", home / "deep" / "nonsense.jsonl"], VOCABULARY, tmp_path / "other")
    assert {name: split.tolist() for name, split in found.splits.items()} == {
        name: split.tolist() for name, split in single.splits.items()
    }
    assert found.tokenizer.decode(found.splits["train"][:40].tolist()).startswith("first of all")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"none holds no text file of a known kind: \.txt, \.jsonl"):
        prepare([tmp_path / "none"], VOCABULARY, tmp_path / "cache")


def test_files_without_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text(" \n", encoding="utf-8")
    with pytest.raises(ValueError, match="the data files hold no text"):
        prepare([path], VOCABULARY, tmp_path / "cache")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    home = tmp_path_factory.mktemp("texts")
    return prepare([write_texts(home)], VOCABULARY, home / "cache")


def test_a_split_is_its_documents_one_after_the_other(tmp_path: Path, corpus: Corpus) -> None:
    wanted = list(documents([write_texts(tmp_path)]))
    for split in ("train", "validation"):
        texts = corpus.tokenizer.decode(corpus.splits[split].tolist(), skip_special_tokens=False).split(END_OF_TEXT)
        assert [text.strip() for text in texts] == [doc.text.strip() for doc in wanted if doc.split == split] + [""]


def test_the_first_token_ends_a_document_and_the_last_is_the_mask(corpus: Corpus) -> None:
    assert corpus.tokenizer.token_to_id(END_OF_TEXT) == 0
    assert corpus.mask_id == corpus.tokenizer.get_vocab_size() - 1 == VOCABULARY - 1
    for stream in corpus.splits.values():
        assert stream[-1] == 0
        assert not (stream == corpus.mask_id).any()


def test_special_tokens_spelt_out_in_a_text_are_text(tmp_path: Path) -> None:
    path = write_texts(tmp_path, extra=f"a {MASK} and {END_OF_TEXT} in a text")
    corpus = prepare([path], VOCABULARY, tmp_path / "cache")
    assert not (corpus.splits["train"] == corpus.mask_id).any()
    assert (corpus.splits["train"] == 0).sum() == sum(doc.split == "train" for doc in documents([path]))


def test_the_same_files_are_tokenised_once(tmp_path: Path) -> None:
    path, cache = write_texts(tmp_path), tmp_path / "cache"
    first = prepare([path], VOCABULARY, cache)
    (home,) = cache.iterdir()
    stamps = {file.name: file.stat().st_mtime_ns for file in home.iterdir()}
    second = prepare([path], VOCABULARY, cache)
    assert stamps == {file.name: file.stat().st_mtime_ns for file in home.iterdir()}
    assert np.array_equal(first.splits["train"], second.splits["train"])
    path.write_text(path.read_text(encoding="utf-8") + lines({"text": "more"}), encoding="utf-8")
    prepare([path], VOCABULARY, cache)
    assert len(list(cache.iterdir())) == 2


def test_windows_are_pieces_of_the_stream_and_depend_on_the_generator_alone(corpus: Corpus) -> None:
    stream = corpus.splits["train"]
    drawn = corpus.windows("train", 16, 50, np.random.default_rng(1))
    assert drawn.shape == (50, 16)
    assert drawn.dtype == np.int64
    pieces = {tuple(stream[i : i + 16].tolist()) for i in range(len(stream) - 15)}
    assert {tuple(row) for row in drawn.tolist()} <= pieces
    assert np.array_equal(drawn, corpus.windows("train", 16, 50, np.random.default_rng(1)))
    assert not np.array_equal(drawn, corpus.windows("train", 16, 50, np.random.default_rng(2)))


def test_a_window_may_be_the_whole_stream(corpus: Corpus) -> None:
    stream = corpus.splits["validation"]
    for rows in (
        corpus.windows("validation", len(stream), 2, np.random.default_rng(0)),
        corpus.spread("validation", len(stream), 2),
    ):
        assert np.array_equal(rows, np.stack((stream, stream)))


def test_spread_windows_reach_from_end_to_end(corpus: Corpus) -> None:
    stream = corpus.splits["train"]
    rows = corpus.spread("train", 16, 9)
    assert rows.shape == (9, 16)
    assert np.array_equal(rows[0], stream[:16])
    assert np.array_equal(rows[-1], stream[-16:])


@pytest.mark.parametrize("split", ["../elsewhere", "a/b", "", "x" * 99])
def test_a_split_that_is_no_plain_word_is_refused(tmp_path, split):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "words", "split": split}) + "\n")
    with pytest.raises(ValueError, match="line 1: split"):
        list(documents([path]))


def test_the_demos_corpus_holds_out_what_its_novels_say_and_every_twentieth_speech(tmp_path: Path) -> None:
    novels, speeches = tmp_path / "novels.jsonl", tmp_path / "speeches"
    novels.write_text(lines({"text": "“a”", "split": "validation"}, {"text": "b"}), encoding="utf-8")
    speeches.mkdir()
    for year in range(1800, 1800 + 2 * demo_corpus.HELD_OUT):
        (speeches / f"{year}.txt").write_text(str(year), encoding="utf-8")
    found = list(demo_corpus.corpus(novels, speeches))
    # typography is left to whoever reads it
    assert found[:2] == [Document("“a”", "validation"), Document("b", "train")]
    held = [int(document.text) for document in found[2:] if document.split == "validation"]
    assert held == [1799 + demo_corpus.HELD_OUT, 1799 + 2 * demo_corpus.HELD_OUT]
    assert len(found) == 2 + 2 * demo_corpus.HELD_OUT
