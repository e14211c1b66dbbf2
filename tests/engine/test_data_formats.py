"""Which format a file of text has, and what its reader makes of it."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from engine.data.directories import text_files
from engine.data.document import Document
from engine.data.documents import documents
from engine.data.texts import load_texts
from engine.training.data import prepare
from tests.engine.texts import VOCABULARY, write_texts


def packed(data: bytes) -> bytes:
    """Return gzip's bytes without the time, so that a test has the same name in every process."""
    return gzip.compress(data, mtime=0)


ROWS = [{"text": "one, two", "split": "train"}, {"text": 'a "word"\nand é', "split": "validation"}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
TABLE = 'id,text,split\n1,"one, two",train\n2,"a ""word""\nand é",validation\n'
WANTED = [Document(row["text"], row["split"]) for row in ROWS]


def texts(path: Path) -> list[str]:
    return [document.text for document in documents([path], {})]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", LINES.encode()),
        ("A.JSONL", LINES.encode()),
        ("a.ndjson", LINES.encode()),
        ("a.json", LINES.encode()),
        ("b.json", json.dumps(ROWS, indent=1).encode()),
        ("a.jsonl.gz", packed(LINES.encode())),
        ("a.NDJSON.BZ2", bz2.compress(LINES.encode())),
        ("a.jsonl.xz", lzma.compress(LINES.encode())),
        ("a.jsonl.zst", pyarrow.compress(LINES.encode(), "zstd", asbytes=True)),
        ("a.csv", TABLE.encode()),
        ("a.v2.Csv", TABLE.replace("\n", "\r\n").encode()),
        ("a.tsv", b'text\tsplit\n"one, two"\ttrain\n"a ""word""\nand \xc3\xa9"\tvalidation\n'),
        ("bom.jsonl", b"\xef\xbb\xbf" + LINES.encode()),
        ("bom.csv", b"\xef\xbb\xbf" + TABLE.encode()),
        ("wide.jsonl", LINES.encode("utf-16")),
        ("ends.jsonl", LINES.replace("\n", "\r\n").encode()),
    ],
)
def test_the_name_decides_the_format(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert list(documents([tmp_path / name], {})) == WANTED


def test_a_table_of_parquet_is_read(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert list(documents([tmp_path / "a.parquet"], {})) == WANTED
    parquet.write_table(pyarrow.Table.from_pylist([{"body": "x"}]), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet has no column 'text', but 'body'"):
        texts(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"\xef\xbb\xbfword", "word"),
        ("word é".encode("utf-16"), "word é"),
        (b"\xfe\xff" + "word".encode("utf-16-be"), "word"),
        (b"one\r\ntwo\r\n", "one\ntwo\n"),
    ],
)
def test_a_text_has_no_byte_order_mark_and_one_kind_of_line_end(tmp_path: Path, content: bytes, wanted: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    assert texts(tmp_path / "a.txt") == [wanted]


def test_texts_of_an_array_and_long_fields_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('["one", {"text": "two"}]')
    assert texts(tmp_path / "a.json") == ["one", "two"]
    (tmp_path / "a.csv").write_text('text\n"' + "x" * 300_000 + '"\n')
    assert texts(tmp_path / "a.csv") == ["x" * 300_000]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_half_a_surrogate_pair_becomes_a_replacement(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"text": "lone \\ud83d, pair \\ud83d\\ude00"}\n')
    assert texts(tmp_path / name) == ["lone \ufffd, pair 😀"]
    assert load_texts([tmp_path / name]).texts == ("lone \ufffd, pair 😀",)
    prepared = prepare([write_texts(tmp_path), tmp_path / name], VOCABULARY, tmp_path / "cache")
    assert "\ufffd" in prepared.tokenizer.decode(prepared.splits["train"][-40:].tolist())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("novel", b"text", "novel is not a text file of a known kind: .txt, .jsonl, .ndjson, .json, .csv, .tsv"),
        ("a.md", b"text", "a.md is not a text file"),
        ("a.parquet.gz", b"text", "a.parquet.gz is not a text file"),
        ("a.gz", packed(b"text"), "a.gz is not a text file"),
        ("a.txt", b"one\ntwo \xff\n", r"a.txt is not UTF-8 text: line 2, byte 5 \(0xff\)"),
        ("a.jsonl.gz", packed(b'{"text": "\xe9"}\n'), "a.jsonl.gz is not UTF-8 text: line 1, byte 11"),
        ("a.txt", b"one\nt\0w\0o", "a.txt, line 2: a NUL character"),
        ("a.txt.gz", b"no gzip", "a.txt.gz is damaged"),
        ("a.txt.gz", packed(b"text" * 99)[:-9], "a.txt.gz is damaged"),
        ("a.txt.xz", lzma.compress(b"text" * 99)[:-9], "a.txt.xz is damaged"),
        ("a.txt.bz2", b"no bzip2", "a.txt.bz2 is damaged"),
        ("a.txt.zst", b"no zstd", "a.txt.zst is damaged"),
        ("a.parquet", b"no parquet", "a.parquet is not a parquet file, or damaged"),
        ("a.csv", b"id,body\n1,x\n", "a.csv has no column 'text' in its first line, but 'id', 'body'"),
        ("a.csv", b"id,text\n1,x\n2\n", "a.csv, line 3: 1 fields, and the first line names 2 columns"),
        ("a.csv", b'text\n"open\n', "a.csv, line 2: unexpected end of data"),
        ("a.json", b'[{"text": "a"},\n{"text" "b"}]', "a.json, line 2: Expecting"),
        ("a.json", b'\n{\n "text": "a",\n "split" "train"\n}\n', "a.json, line 4: Expecting ':' delimiter"),
        ("a.json", b'{"text":\n "a"}\n{"text":\n "b"}\n', "a.json, line 3: Extra data"),
        ("a.json", b'{"text": "a" "b"}\n{"text": "c"}\n', "a.json, line 1: Expecting ',' delimiter"),
        ("a.csv", b'id,text\n1,"x\ny"\n2,"open\n3,z\n4,z\n', "a.csv, lines 4 to 6: unexpected end of data"),
        ("a.csv", b'id,text\n1,x\n\n2,"a\nb",3\n', "a.csv, lines 4 to 5: 3 fields"),
        ("a.json", b'[{"body": "a"}]', "a.json, item 1: expected a JSON object .* got one with 'body'"),
        ("a.json", b'{"text": "a"}\n{', "a.json, line 2: expected a JSON object"),
        ("a.jsonl", b"[" * 100_000 + b"\n", "a.jsonl, line 1: expected a JSON object"),
        ("a.jsonl", b'{"text": ' + b"1" * 5000 + b"}\n", "a.jsonl, line 1: expected a JSON object"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        texts(tmp_path / name)


def test_prepared_data_depend_on_the_format_and_not_on_what_was_prepared_before(tmp_path: Path) -> None:
    lines = write_texts(tmp_path)
    plain = tmp_path / "same.txt"
    plain.write_bytes(lines.read_bytes())
    cache = tmp_path / "cache"
    prepare([plain], VOCABULARY, cache)
    found = prepare([lines], VOCABULARY, cache)
    assert "text" not in found.tokenizer.decode(found.splits["train"].tolist())


@pytest.mark.parametrize("damage", ["tokenizer.json", "train.tokens", "manifest.json"])
def test_damaged_prepared_data_are_made_again(tmp_path: Path, damage: str) -> None:
    path, cache = write_texts(tmp_path), tmp_path / "cache"
    first = prepare([path], VOCABULARY, cache)
    wanted = first.splits["train"].tolist()
    (home,) = cache.iterdir()
    (home / damage).write_bytes((home / damage).read_bytes()[:-9])
    second = prepare([path], VOCABULARY, cache)
    assert second.splits["train"].tolist() == wanted
    assert second.tokenizer.to_str() == first.tokenizer.to_str()


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    for name in ("pipe.txt", "pipe.jsonl.gz", "pipe.csv"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(ValueError, match=r"pipe\.\S+ is a named pipe, not a regular file"):
            load_texts(str(tmp_path / name))
        with pytest.raises(ValueError, match=r"pipe\.\S+ is a named pipe, not a regular file"):
            prepare([tmp_path / name], VOCABULARY, tmp_path / "cache")


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.json", "a.csv", "a.parquet", "a.txt.gz"])
def test_a_pointer_of_git_lfs_is_no_text(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / name
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 5\n")
    for source in (path, path.parent):
        with pytest.raises(ValueError, match="is a pointer of git-lfs, not the file itself"):
            load_texts(str(source))
        with pytest.raises(ValueError, match="is a pointer of git-lfs, not the file itself"):
            prepare([source], VOCABULARY, tmp_path / "cache")


def test_a_directory_is_its_texts_without_what_describes_them(tmp_path: Path) -> None:
    home = tmp_path / "corpus"
    home.mkdir()
    write_texts(home)
    parquet.write_table(pyarrow.table({"id": [1]}), home / "index.parquet")
    contents = {
        "more.txt": "And then some.", "metadata.csv": "id,title\n1,x\n", "dataset_info.json": '{\n "splits": {}\n}',
        "ids.json": "[1, 2]", "README.md": "About.", "README.txt": "About.", "LICENSE": "Free.", ".hidden.txt": "no",
    }  # fmt: skip
    for name, content in contents.items():
        (home / name).write_text(content, encoding="utf-8")
    (home / ".cache").mkdir()
    (home / ".cache" / "a.txt").write_text("no", encoding="utf-8")
    messages: list[str] = []
    assert [path.name for path in text_files(home, messages.append)] == ["more.txt", "nonsense.jsonl"]
    assert messages == [
        f"{home}: left out LICENSE (no format of text), README.md (no format of text), README.txt (about the others), "
        "dataset_info.json (no field 'text', but 'splits'), ids.json (no objects, but int '1'), "
        "index.parquet (no column 'text', but 'id'), metadata.csv (no column 'text', but 'id', 'title')"
    ]
    notices: list[str] = []
    assert "And then some." in load_texts([home], "train", notice=notices.append).texts
    prepare([home], VOCABULARY, tmp_path / "cache", notice=notices.append)
    assert notices == messages * 2


def test_a_damaged_file_of_a_directory_is_refused_and_not_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("fine", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "cut', encoding="utf-8")
    with pytest.raises(ValueError, match=r"b\.jsonl, line 1: expected a JSON object"):
        load_texts([tmp_path])


def test_a_directory_without_texts_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("id,body\n1,x\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"holds no text file of a known kind: .*; it holds table\.csv \(no column 'text', but 'id',"
    ):
        load_texts([tmp_path])
    (tmp_path / "README.txt").write_text("All that there is.", encoding="utf-8")
    assert load_texts([tmp_path]).texts == ("All that there is.",)


def test_files_that_are_left_out_are_counted_beyond_the_first(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.png").write_bytes(b"\xff")
    (tmp_path / "a.txt").write_text("text", encoding="utf-8")
    messages: list[str] = []
    text_files(tmp_path, messages.append)
    assert messages[0].endswith("07.png (no format of text) and 12 more")
