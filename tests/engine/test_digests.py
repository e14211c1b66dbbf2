"""Digests of whole files, and the memory of them: it may be slow or gone, but never wrong."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.files import digests
from engine.files.digests import file_digest, file_digests
from tests.waiting import PATIENCE


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is worth remembering."""
    monkeypatch.setattr(digests, "CACHED_FROM", 10)
    path = tmp_path / "large"
    path.write_bytes(bytes(100))
    return path


def digest(path: Path, cache: Path) -> str:
    (found,) = file_digests([path], cache=cache)
    return found


def expected(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_digest_is_of_the_whole_content_and_remembered(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert digest(large, tmp_path / "cache") == expected(large) == file_digest(large)
    monkeypatch.setattr(digests, "_digest", lambda path, count: pytest.fail("it is read again"))
    assert digest(large, tmp_path / "cache") == expected(large)


def test_a_change_of_the_last_byte_of_several_chunks_is_seen(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "CHUNK", 7)
    before = digest(large, tmp_path / "cache"), file_digest(large)
    assert before == (expected(large), expected(large))
    large.write_bytes(bytes(99) + b"1")
    after = digest(large, tmp_path / "cache"), file_digest(large)
    assert after == (expected(large), expected(large)) != before


def test_a_file_whose_time_was_set_back_is_read_again(large: Path, tmp_path: Path) -> None:
    digest(large, tmp_path / "cache")
    was = large.stat()
    large.write_bytes(bytes(99) + b"1")
    os.utime(large, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert large.stat().st_mtime_ns == was.st_mtime_ns
    assert digest(large, tmp_path / "cache") == expected(large)


@pytest.mark.parametrize("damaged", [b"", b"\xff\xfe", b"0" * 64, b"0" * 64 + b" " + b"0" * 64])
def test_a_damaged_memory_is_not_believed(large: Path, tmp_path: Path, damaged: bytes) -> None:
    cache = tmp_path / "cache"
    digest(large, cache)
    (kept,) = cache.iterdir()
    kept.write_bytes(damaged)
    assert digest(large, cache) == expected(large)


def test_one_files_memory_is_not_anothers(large: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    digest(large, cache)
    (kept,) = cache.iterdir()
    data = kept.read_bytes()
    large.write_bytes(bytes(99) + b"1")
    digest(large, cache)
    for path in cache.iterdir():
        path.write_bytes(data)
    assert digest(large, cache) == expected(large)


def test_without_a_place_to_remember_it_is_read(large: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"no directory")
    assert digest(large, tmp_path / "cache") == expected(large)
    assert digest(large, tmp_path / "cache" / "below") == expected(large)


def test_several_at_once_agree_and_leave_one_memory(large: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: digest(large, tmp_path / "cache"), range(32)))
    assert set(found) == {expected(large)}
    assert len(list((tmp_path / "cache").iterdir())) == 1


def endless(path: Path, count: Callable[[int], None]) -> str:
    """Read a file without an end."""
    while True:
        count(1)
        time.sleep(0.001)


def test_an_interrupt_ends_the_reading_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"x")
    monkeypatch.setattr(digests, "_digest", endless)

    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        file_digests(paths, interrupted)
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_a_file_that_cannot_be_read_ends_the_reading_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_bytes(b"x")

    def broken(path: Path, count: Callable[[int], None]) -> str:
        if path.name == "a":
            raise OSError("gone")
        return endless(path, count)

    monkeypatch.setattr(digests, "_digest", broken)
    with pytest.raises(OSError, match="gone"):
        file_digests(paths)
