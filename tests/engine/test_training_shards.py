"""Tokens on disk are what a plain encoding gives, also after an interruption, in windows and in the field's rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.data import shards
from engine.data.catalogue import CONVERTED, TAIL, Source, hub_stream, source_of
from engine.data.document import Document
from engine.data.documents import documents, documents_of
from engine.data.rows import wrap
from engine.data.shards import Prepared, open_streams, write_streams
from engine.data.special_tokens import END_OF_TEXT, MASK
from engine.files import digests
from engine.training.data import Corpus, prepare, reading_speed
from tests.engine.texts import VOCABULARY, write_texts

DOCUMENTS = [Document("x" * (i % 7), "validation" if i % 5 == 0 else "train") for i in range(40)]


def encode(texts: Sequence[str]) -> list[list[int]]:
    return [[len(text)] * len(text) + [0] for text in texts]


def expected(split: str) -> list[int]:
    return [i for document in DOCUMENTS if document.split == split for i in encode([document.text])[0]]


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "TOGETHER", 3)
    monkeypatch.setattr(shards, "RECORDED", 10)


@pytest.mark.parametrize(("vocabulary", "dtype"), [(65_536, "uint16"), (65_537, "uint32")])
def test_what_is_written_is_what_is_read(tmp_path: Path, vocabulary: int, dtype: str, often: None) -> None:
    reported: list[Prepared] = []
    write_streams(tmp_path, iter(DOCUMENTS), encode, vocabulary, reported.append)
    found = open_streams(tmp_path)
    assert {name: stream.tolist() for name, stream in found.items()} == {
        split: expected(split) for split in ("train", "validation")
    }
    assert {stream.dtype for stream in found.values()} == {np.dtype(dtype)}
    assert reported[-1] == Prepared("tokenising", len(DOCUMENTS), sum(map(len, found.values())))


class Interrupted(Exception):
    """As by a signal."""


@pytest.mark.parametrize("at", [0, 2, 14, 25, 39])
def test_an_interrupted_preparation_goes_on_where_it_was_noted(tmp_path: Path, often: None, at: int) -> None:
    def broken() -> Iterator[Document]:
        yield from DOCUMENTS[:at]
        raise Interrupted

    encoded: list[str] = []

    def counting(texts: Sequence[str]) -> list[list[int]]:
        encoded.extend(texts)
        return encode(texts)

    with pytest.raises(Interrupted):
        write_streams(tmp_path, broken(), encode, 100)
    with pytest.raises(ValueError, match="holds no prepared data"):
        open_streams(tmp_path)
    write_streams(tmp_path, iter(DOCUMENTS), counting, 100)
    assert {name: stream.tolist() for name, stream in open_streams(tmp_path).items()} == {
        split: expected(split) for split in ("train", "validation")
    }
    assert len(encoded) <= len(DOCUMENTS) - max(0, at - 8)


def test_long_documents_are_tokenised_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "TOGETHER", 3)
    monkeypatch.setattr(shards, "CHARACTERS", 10)
    sizes = [1, 1, 1, 12, 4, 6, 2]
    found = [[len(d.text) for d in batch] for batch in shards.batches(Document("x" * n, "train") for n in sizes)]
    assert found == [[1, 1, 1], [12], [4, 6], [2]]


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "manifest"])
def test_damage_is_reported(tmp_path: Path, damage: str) -> None:
    write_streams(tmp_path, iter(DOCUMENTS), encode, 100)
    path = tmp_path / ("manifest.json" if damage == "manifest" else "train.tokens")
    whole = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        whole[5] ^= 1
        path.write_bytes(whole[:-2] if damage == "cut" else whole)
    with pytest.raises(ValueError, match="delete"):
        open_streams(tmp_path)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of the library, which has an end of text and no mask."""
    home = tmp_path_factory.mktemp("existing")
    corpus = prepare([write_texts(home)], VOCABULARY, home / "cache")
    reported = json.loads(corpus.tokenizer.to_str())
    reported["added_tokens"] = [token for token in reported["added_tokens"] if token["content"] != MASK]
    path = home / "tokenizer.json"
    path.write_text(json.dumps(reported))
    return path


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory: pytest.TempPathFactory, tokenizer: Path) -> Corpus:
    home = tmp_path_factory.mktemp("wrapped")
    write_texts(home)
    return prepare([home / "nonsense.jsonl"], VOCABULARY, home / "cache", tokenizer=str(tokenizer), wrapped=True)


def test_an_existing_tokenizer_gets_a_mask_behind_its_last_token(wrapped: Corpus) -> None:
    assert wrapped.mask_id == wrapped.tokenizer.get_vocab_size() - 1 == VOCABULARY - 1
    assert wrapped.end_id == wrapped.tokenizer.token_to_id(END_OF_TEXT)


def test_wrapped_rows_are_those_of_evaluation_and_come_once_an_epoch(tmp_path: Path, wrapped: Corpus) -> None:
    texts = [d.text for d in documents([write_texts(tmp_path)], {}) if d.split == "train"]

    def plain(text: str) -> list[int]:
        return wrapped.tokenizer.encode(text, add_special_tokens=False).ids

    rows = wrap(texts, plain, 16, wrapped.end_id, wrapped.end_id)
    drawn = [
        wrapped.at("train", wrapped.batch(16, 1, seed=5, step=step, generator=np.random.default_rng(0)), 16)[0]
        for step in range(2 * len(rows))
    ]
    for epoch in (drawn[: len(rows)], drawn[len(rows) :]):
        assert sorted(map(tuple, epoch)) == sorted(map(tuple, rows))
    assert not np.array_equal(drawn[: len(rows)], drawn[len(rows) :])
    assert np.array_equal(wrapped.spread("train", 16, 3)[[0, -1]], rows[[0, -1]])


def test_what_a_row_is_does_not_depend_on_the_size_of_the_batch(wrapped: Corpus) -> None:
    numbers = np.random.default_rng(0)
    one = [int(wrapped.batch(16, 1, 5, step, numbers)[0]) for step in range(12)]
    assert [int(i) for step in range(3) for i in wrapped.batch(16, 4, 5, step, numbers)] == one


def test_a_data_set_of_the_hub_is_requested_by_its_name(tmp_path: Path) -> None:
    requested: list[tuple[str, str]] = []
    numbers = np.random.default_rng(3)
    words = ["".join(numbers.choice(list("aeioulmnrst"), 5)) for _ in range(300)]

    def from_hub(name: str, split: str) -> Iterator[str]:
        requested.append((name, split))
        return iter([" ".join(numbers.choice(words, 400))] * (3 if split == "train" else 1))

    corpus = prepare([Path("wikitext2")], VOCABULARY, tmp_path, from_hub=from_hub)
    assert set(requested) == {("wikitext2", "train"), ("wikitext2", "validation")}
    assert [int((corpus.splits[split] == corpus.end_id).sum()) for split in ("train", "validation")] == [3, 1]


def test_documents_held_out_of_a_training_split_are_its_last_and_come_by_the_same_pass() -> None:
    requested: list[str] = []

    def from_hub(name: str, split: str) -> Iterator[str]:
        requested.append(split)
        return (str(i) for i in range(TAIL + 3))

    found = list(documents_of(Path("openwebtext-split"), {}, from_hub))
    assert requested == ["train"]
    assert found[:4] == [*(Document(str(i), "train") for i in range(3)), Document("3", "validation")]
    assert [document.split for document in found].count("validation") == TAIL


class Streaming:
    """As much of the package `datasets` as streams."""

    def __init__(self) -> None:
        self.requested: list[tuple[Any, ...]] = []

    def load_dataset(self, path: str, *parts: Any, **more: Any) -> Iterator[dict[str, str]]:
        self.requested.append((path, *parts, more))
        return iter([{"text": "a"}, {"text": "b"}])


def test_a_data_set_of_the_hub_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Streaming()
    monkeypatch.setattr("engine.data.catalogue.import_module", lambda name: package)
    assert list(hub_stream("text8", "train")) == list(hub_stream("openwebtext-split", "train")) == ["a", "b"]
    assert list(hub_stream("lm1b", "validation")) == ["a", "b"]
    assert package.requested == [
        ("afmck/text8", None, {"split": "train", "streaming": True}),
        ("Skylion007/openwebtext",
         {"data_dir": "plain_text", "revision": CONVERTED, "split": "train", "streaming": True}),
        ("billion-word-benchmark/lm1b",
         {"data_dir": "plain_text", "revision": CONVERTED, "split": "test", "streaming": True}),
    ]  # fmt: skip


def test_any_data_set_of_the_hub_can_be_requested_also_one_that_holds_nothing_out(tmp_path: Path) -> None:
    assert source_of("hub:org/name") == Source("org/name")
    assert source_of("hub:org/name:part:body") == Source("org/name", "part", "body")
    for name in ("hub:", "hub:a:b:c:d"):
        with pytest.raises(ValueError, match="is given as hub:org/name:config:column"):
            source_of(name)

    def from_hub(name: str, split: str) -> Iterator[str]:
        if split == "validation":
            raise ValueError("Bad split: validation. Available splits: ['train']")
        return iter(["one", "two"])

    found = list(documents_of(Path("hub:org/name"), {}, from_hub))
    assert found == [Document("one", "train"), Document("two", "train")]


def test_a_column_that_is_not_there_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.data.catalogue.import_module", lambda name: Streaming())
    with pytest.raises(ValueError, match="has no column 'body': choose text"):
        list(hub_stream("hub:org/name::body", "train"))


@pytest.mark.parametrize("name", ["nowhere/there-is-none.json", "nonsense.jsonl"])
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = write_texts(tmp_path)
    with pytest.raises(ValueError, match="is not a tokenizer"):
        prepare([path], VOCABULARY, tmp_path / "cache", tokenizer=str(tmp_path / name))


def test_the_reading_speed_is_tokens_by_seconds(wrapped: Corpus) -> None:
    times = iter([0.0, 0.0, 1.5, 4.0])
    assert reading_speed(wrapped, 16, 4, 3.0, lambda: next(times)) == 2 * 4 * 16 / 4.0


def test_a_stream_too_large_to_be_read_at_every_start_is_checked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "CHECKED", 0)
    monkeypatch.setattr(digests, "default_cache", lambda: tmp_path / "digests")
    write_streams(tmp_path, iter(DOCUMENTS), encode, 100)
    open_streams(tmp_path)
    with monkeypatch.context() as again:
        again.setattr(shards, "crc32", lambda path: pytest.fail("it is read again"))
        open_streams(tmp_path)
    path = tmp_path / "train.tokens"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"train\.tokens is damaged"):
        open_streams(tmp_path)
