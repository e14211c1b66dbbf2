"""Text to evaluate on: files, data sets by name, detokenizers, rows."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.data.catalogue import DATASETS, hub_texts
from engine.data.detokenize import lambada, lm1b, ptb, scientific_papers, wikitext
from engine.data.rows import windows, wrap
from engine.data.texts import Texts, load_texts, unique

START, END = 100, 101


def letters(text: str) -> list[int]:
    return [ord(c) - ord("a") for c in text]


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with every kind of file, and one that is no text."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.txt").write_text("“two”", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text(lines({"text": "one"}, {"text": " \n"}), encoding="utf-8")
    (tmp_path / "deep" / "c.jsonl.gz").write_bytes(gzip.compress(lines({"text": "three", "id": 3}).encode()))
    (tmp_path / "d.txt.gz").write_bytes(gzip.compress(b"four"))
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    return tmp_path


def test_a_directory_is_read_to_its_last_file_and_its_text_left_alone(home: Path) -> None:
    assert load_texts(str(home)) == Texts(str(home), "all", ("one", "“two”", "four", "three"), 1)
    assert load_texts([home / "d.txt.gz", home / "b.txt"]).texts == ("four", "“two”")
    assert load_texts(str(home), limit=2).texts == ("one", "“two”")


def test_documents_of_the_split_requested_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(lines({"text": "a"}, {"text": "b", "split": "validation"}, {"text": "c", "split": "train"}))
    assert load_texts(str(path)).texts == ("b",)
    assert load_texts(str(path), "train").texts == ("a", "c")
    with pytest.raises(ValueError, match=r"rows\.jsonl has no split 'test': choose train, validation"):
        load_texts(str(path), "test")


def test_missing_or_empty_data_is_one_sentence(home: Path, tmp_path: Path) -> None:
    (tmp_path / "blank.txt").write_text(" \n\t\n")
    (tmp_path / "none").mkdir()
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "broken.jsonl.gz").write_bytes(b"no gzip")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"text" * 1000)[:20])
    for name, message in (
        ("blank.txt", r"blank\.txt holds no text"),
        ("empty.jsonl", r"empty\.jsonl holds no text"),
        ("none", r"none holds no text file of a known kind: \.txt, \.jsonl, \.ndjson, "),
        ("nowhere.txt", r"there is no file or directory '.*nowhere\.txt', nor a data set: openwebtext-split, "),
        ("picture.png", r"picture\.png is not a text file"),
        ("broken.jsonl.gz", r"broken\.jsonl\.gz is damaged: "),
        ("cut.txt.gz", r"cut\.txt\.gz is damaged"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            load_texts(str(tmp_path / name))
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="a limit must be at least 1, got 0"):
        load_texts(str(home), limit=0)


def test_a_data_set_is_detokenised_as_its_name_demands() -> None:
    requested: list[tuple[str, str]] = []

    def shelf(name: str, split: str) -> Iterator[str]:
        requested.append((name, split))
        yield from (" the dog 's <unk> costs $ N N million ", "", "it is n't")

    found = load_texts("ptb", "test", from_hub=shelf)
    assert found == Texts("ptb", "test", (" the dog's ? costs $1 1 million ", "it isn't"), 1)
    assert load_texts("ag_news", from_hub=shelf).texts[0] == " the dog 's <unk> costs $ N N million "
    assert requested == [("ptb", "test"), ("ag_news", "validation")]


def test_only_as_many_texts_are_taken_from_a_data_set_as_are_wanted() -> None:
    def endless(name: str, split: str) -> Iterator[str]:
        while True:
            yield name

    assert load_texts("text8", limit=3, from_hub=endless).texts == ("text8",) * 3


def test_the_fields_data_sets_have_their_names() -> None:
    assert set(DATASETS) >= {
        "openwebtext-split", "wikitext103", "lm1b", "ptb", "lambada", "ag_news", "scientific_papers_arxiv",
        "scientific_papers_pubmed", "text8",
    }  # fmt: skip


def test_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"ag_news needs the package datasets: pip install 'remdm-tui\[eval\]'"
    ):
        hub_texts("ag_news", "test")


class Library:
    """What of the datasets library is used."""

    def __init__(self) -> None:
        self.requested: list[tuple[object, ...]] = []

    def load_dataset(self, path: str, name: str | None = None, **given: str) -> list[dict[str, str]]:
        self.requested.append((path, name, given))
        if given["split"] == "nonsense":
            raise ValueError('Unknown split "nonsense".\nShould be one of: train')
        return [{"text": "a", "article": "b"}]


def test_tables_of_the_hub_are_read_and_never_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setitem(sys.modules, "datasets", library)  # type: ignore[arg-type]
    assert list(hub_texts("wikitext103", "validation")) == ["a"]
    assert list(hub_texts("scientific_papers_arxiv", "validation")) == ["b"]
    assert list(hub_texts("openwebtext-split", "validation")) == ["a"]
    assert library.requested == [
        ("Salesforce/wikitext", "wikitext-103-raw-v1", {"split": "validation"}),
        ("armanc/scientific_papers", None,
         {"data_dir": "arxiv", "revision": "refs/convert/parquet", "split": "validation"}),
        ("Skylion007/openwebtext", None,
         {"data_dir": "plain_text", "revision": "refs/convert/parquet", "split": "train[-100000:]"}),
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"wikitext103 \(Salesforce/wikitext, nonsense\) cannot be loaded: Unknown"):
        hub_texts("wikitext103", "nonsense")


def test_what_the_makers_of_a_data_set_cut_apart_is_joined() -> None:
    assert wikitext(" = = Reception = = \n It sold 1 @,@ 200 @.@ 5 copies ( in the mid @-@ 1990s ) , and won . ") == (
        " == Reception ==\nIt sold 1,200.5 copies (in the mid-1990s), and won. "
    )
    assert wikitext('he said " not now " ; the dogs \' tails : [ sic ] at 20 ° C') == (
        'he said "not now"; the dogs\' tails: [sic] at 20°C'
    )
    assert ptb("the traders ' N N share does n't pay $ N a 1\\/2 # N yet") == (
        "the traders' 1 1 share doesn't pay $1 a 1/2 #1 yet"
    )
    assert lm1b('He \'s here . " Why ? " they ask ( twice ) at http : / / a.b / c for $ 5 , no ! The end .') == (
        'He\'s here. "Why?" they ask (twice) at http://a.b/c for $5, no! The end.'
    )
    assert lambada(" “No,” he said ") == '\n"No," he said'
    assert scientific_papers("we show @xmath0 ( see fig . 2 ) .") == lm1b(wikitext("we show @xmath0 ( see fig . 2 ) ."))


def test_plain_text_is_nothing_to_undo() -> None:
    plain = 'He said: "No, it isn\'t (yet) 3.5% of $20; why?" The end.'
    for undo in (wikitext, ptb, lm1b, scientific_papers):
        assert undo(plain) == plain


def test_documents_are_wrapped_into_rows_between_start_and_end() -> None:
    rows = wrap(["abcd", "efg", "hijkl"], letters, 6, START, END)
    assert rows.tolist() == [
        [START, 0, 1, 2, 3, END],
        [START, END, 4, 5, 6, END],
        [START, END, 7, 8, 9, END],
    ]
    assert rows.dtype == np.int64


def test_documents_wrapped_some_at_a_time_lose_each_rest() -> None:
    texts = ["abcd", "efg", "hijkl", "mnopq"]
    rows = wrap(texts, letters, 6, START, END, together=2)
    parts = [wrap(part, letters, 6, START, END) for part in (texts[:2], texts[2:])]
    assert rows.tolist() == np.concatenate(parts).tolist()
    assert len(rows) == 5
    assert rows.tolist() != wrap(texts, letters, 6, START, END).tolist()


def test_too_little_text_for_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="the text has 4 tokens: a row of 8 needs 6"):
        wrap(["abc"], letters, 8, START, END)
    with pytest.raises(ValueError, match="at least 3 tokens"):
        wrap(["abc"], letters, 2, START, END)
    with pytest.raises(ValueError, match="the text has 0 tokens"):
        wrap([], letters, 8, START, END)


def test_windows_are_spread_over_the_stream() -> None:
    codes = lambda text: [ord(c) for c in text]  # noqa: E731
    stream = [*codes("ab\n\n"), END, *codes("cdefghij\n\n"), END]
    rows = windows(["ab", "cdefghij"], codes, 4, 5, END)
    assert rows.tolist() == [stream[i : i + 4] for i in (0, 3, 6, 9, 12)]
    with pytest.raises(ValueError, match="the text has 5 tokens: a window needs 9"):
        windows(["ab"], codes, 9, 1, END)
    with pytest.raises(ValueError, match="at least 1"):
        windows(["ab"], codes, 2, 0, END)


def test_references_are_not_duplicated() -> None:
    assert unique(["a", "b", "a", "c", "b"]) == ["a", "b", "c"]
    assert unique(["a", "b", "a", "c", "b"], 2) == ["a", "b"]
