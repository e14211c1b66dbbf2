"""The lines about a load and a model, and which models are offered."""

import pytest

from engine.models.catalogue import BUILT_IN
from engine.records import ModelInfo
from remdm_tui.render.model_summary import format_count, placement, rows, summary_line
from remdm_tui.render.progress_line import bar, format_size, loading_line, steps_line
from remdm_tui.watch.available_models import available_models, hub_cache

INFO = ModelInfo("org/b", 8_030_000_000, "bfloat16", "cuda:0", 126464, 126336, None, False, (), "flash2", "LLaDA")


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (1_200_000_000, 3_400_000_000, "1.2 of 3.4 GB"),
        (5_000_000, 3_400_000_000, "0.0 of 3.4 GB"),
        (512, 1000, "0.5 of 1.0 kB"),
        (12, 999, "12 of 999 B"),
        (7_200_000, 0, "7.2 MB"),
        (0, 0, "0 B"),
    ],
)
def test_bytes_are_read_in_one_unit(done, total, text):
    assert format_size(done, total) == text


def test_a_load_is_a_line_with_a_bar():
    got = loading_line("downloading org/b", 1_200_000_000, 3_400_000_000, 100, ascii_only=False)
    assert got == "downloading org/b  ████████▍                 1.2 of 3.4 GB  35 %"
    got = loading_line("downloading org/b", 1_200_000_000, 3_400_000_000, 100, ascii_only=True)
    assert got == "downloading org/b  [########                ]  1.2 of 3.4 GB  35 %"


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("width", range(30, 120))
def test_a_line_is_no_wider_than_its_room_and_the_bar_goes_first(width, ascii_only):
    for done in (0, 17, 10**9):
        got = loading_line("loading x", done, 10**9, width, ascii_only)
        assert len(got) <= max(width, 40)
        assert got.isascii() or not ascii_only
    assert len(steps_line("again", 5, 9, width, ascii_only)) <= max(width, 40)


def test_what_is_unknown_is_not_made_up():
    assert loading_line("loading x", 0, 0, 80, False) == "loading x ..."
    assert loading_line("loading x", 5_000_000, 0, 80, False) == "loading x  5.0 MB"


@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_bar_grows_from_nothing_to_full(ascii_only):
    bars = [bar(i / 80, 10, ascii_only) for i in range(81)]
    full = [len(one.strip("[] ")) for one in bars]
    assert full == sorted(full)
    assert (full[0], full[-1]) == (0, 10)
    assert len({len(one) for one in bars}) == 1


def test_a_model_is_described_in_a_line_and_at_length():
    assert placement(INFO) == "LLaDA │ bfloat16 │ cuda:0 │ flash2"
    assert summary_line(INFO) == (
        "org/b: 8.0 B parameters, bfloat16 on cuda:0, vocabulary 126464, mask 126336, any length, LLaDA, "
        "flash2 attention"
    )
    assert ("parameters", "8.0 B") in rows(INFO)
    assert [format_count(n) for n in (999, 1_500, 11_735_424)] == ["999", "1.5 k", "11.7 M"]


def test_own_runs_and_the_cache_are_offered_but_not_for_another_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "hub" / "models--org--my--model" / "snapshots").mkdir(parents=True)
    for run in ("old", "half"):
        (tmp_path / "runs" / run / "model").mkdir(parents=True)
    (tmp_path / "runs" / "old" / "model" / "config.json").write_text("{}")
    names = [one.name for one in available_models(tmp_path)]
    count = len(BUILT_IN)
    assert names[: count + 2] == [*BUILT_IN, "runs/old/model", "org/my--model"]
    assert "runs/half/model" not in names
    there = [one.name for one in available_models(tmp_path, elsewhere=True)]
    assert there == [*BUILT_IN, *names[count + 2 :]]


def test_the_cache_is_where_the_hubs_own_library_looks(monkeypatch, tmp_path):
    from huggingface_hub import constants

    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert hub_cache().parts[-3:] == (".cache", "huggingface", "hub")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert hub_cache() == tmp_path / "hub"
    assert str(hub_cache()).endswith(str(constants.HF_HUB_CACHE).rsplit("/", 1)[-1])
