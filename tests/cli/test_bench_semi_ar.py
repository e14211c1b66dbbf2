"""`bench --semi-ar-table`: a row for each sampler beside the published figures, with any model of SSD-LM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.evaluation.results import read_samples
from engine.models import DTYPES, checkpoint, load_choice
from engine.models.dit import DITConfig
from engine.models.kinds import KINDS
from engine.sampling.session import Session
from engine.strategies import catalogue, make_strategy
from engine.training.tokenizers import train_tokenizer
from remdm_tui.cli import app
from remdm_tui.commands.bench_semi_ar import SemiArRow, comparisons, simplex_shape
from remdm_tui.commands.eval_sample import arguments_of_sample
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.watch_options import fit_to_model
from tests.engine.simplex import write_ssd_lm
from tests.engine.texts import VOCABULARY, write_texts


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network over masks of 16 positions, and one of SSD-LM of 22."""
    home = tmp_path_factory.mktemp("models")
    tokenizer = train_tokenizer(iter(write_texts(home).read_text(encoding="utf-8").split("\n\n")), VOCABULARY)
    size = tokenizer.get_vocab_size()
    network = KINDS["dit"].network(DITConfig(size, 16, 1, 2, 8, 16, mask_id=size - 1))
    checkpoint.export_model(network, tokenizer.to_str(), home / "mdlm", DTYPES["float32"])
    return home / "mdlm", write_ssd_lm(home / "ssd-lm").home


def table(models: tuple[Path, Path], *more: str) -> str:
    words = ["bench", "--semi-ar-table", "--model", str(models[0]), "--ssd-lm", str(models[1])]
    words += ["--count", "2", "--steps", "3", "--judge", "none", "--device", "cpu", *more]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_sampler_is_a_row_at_the_proportions_of_the_readme(models: tuple[Path, Path], tmp_path: Path) -> None:
    found = json.loads(table(models, "--json", "--out", str(tmp_path)))
    rows = {row["sampler"]: row for row in found["results"]}
    assert list(rows) == ["ssd-lm", "ddpm-cache", "mdlm", "remdm-loop"]
    assert {row["samples"] for row in rows.values()} == {2}
    # twice the model's length, in blocks of 11, the half of SSD-LM's positions
    assert [row["tokens"] for row in rows.values()] == [33, 32, 32, 32]
    assert [row["window"] for row in rows.values()] == [22, 16, 16, 16]
    assert (rows["ssd-lm"]["calls"], rows["ddpm-cache"]["calls"] <= 3 * 4) == (3 * 3, True)
    assert rows["mdlm"]["calls"] <= rows["ddpm-cache"]["calls"]
    assert all(row["seconds"] > 0 for row in rows.values())
    assert found["published"]["ssd-lm"] == {"gen_ppl": 35.43, "seconds": 2473.9, "calls": 82_000}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ddpm-cache", "mdlm", "remdm-loop", "ssd-lm"]
    # the sample of SSD-LM that was drawn is the one that is watched
    options = arguments_of_sample(tmp_path / "ssd-lm", 1, RunArguments()).options()
    model = load_choice(options.model)
    settings, run = fit_to_model(options, model.info, catalogue())
    session = Session(
        model, make_strategy("ssd-lm"), steps=run.steps, length=run.length, block_length=run.block_length,
        stride=run.stride, strides=run.strides, first=run.first, top_p=settings.top_p, nucleus=settings.nucleus,
    )  # fmt: skip
    assert [*session][-1].tokens[0].tolist() == list(read_samples(tmp_path / "ssd-lm")[1].ids)
    # what is there is not drawn again
    again = json.loads(table(models, "--json", "--out", str(tmp_path)))
    assert again["results"] == found["results"]


def test_the_table_says_how_many_and_what_is_published(models: tuple[Path, Path]) -> None:
    out = table(models)
    assert "2 samples a row" in out
    assert "27.7 in the README" in out
    assert "35.43, 2,473.9" in out
    assert "sampled for ssd-lm" in out


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--count", "0"], "count must be at least 1, not 0"),
        (["--steps", "4"], "takes one --steps"),
        (["--ssd-lm", "{mdlm}"], "embed_sum_layer.pt and timestep_layer.pt beside the model's weights"),
        (["--ssd-lm", "missing/model"], "missing"),
        (["--batch", "0"], "batch must be at least 1, not 0"),
    ],
)
def test_bad_input_is_one_sentence(models: tuple[Path, Path], more: list[str], reason: str) -> None:
    words = ["bench", "--semi-ar-table", "--model", str(models[0]), "--ssd-lm", str(models[1]), "--count", "1"]
    words += ["--steps", "2", "--judge", "none", "--device", "cpu", *(word.format(mdlm=models[0]) for word in more)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert reason in " ".join(result.output.split())


def test_without_a_model_of_ssd_lm_it_says_which(models: tuple[Path, Path]) -> None:
    result = CliRunner().invoke(app, ["bench", "--semi-ar-table", "--model", str(models[0])])
    assert result.exit_code == 2
    assert "give --ssd-lm DIRECTORY" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("tokens", "positions", "expected"),
    [
        (512, 256, (25, 250, 25, 11)),
        (2048, 512, (25, 500, 25, 62)),
        (512, 600, (25, 500, 25, 1)),
        (16, 512, (8, 8, 8, 1)),
    ],
)
def test_ssd_lm_has_whole_blocks(tokens: int, positions: int, expected: tuple[int, ...]) -> None:
    shape = simplex_shape(tokens, positions)
    assert tuple(shape[name] for name in ("block_length", "length", "stride", "strides")) == expected
    assert tokens <= shape["length"] + shape["stride"] * shape["strides"] < tokens + shape["block_length"]


def test_ratios_are_those_of_the_rows() -> None:
    def row(sampler: str, **figures: Any) -> SemiArRow:
        return SemiArRow(sampler, "", 512, 256, 1000, 1.0, 4, entropy=5.0, mauve=None, **figures)

    rows = [
        row("ssd-lm", gen_ppl=60.0, calls=21_000.0, seconds=800.0),
        row("ddpm-cache", gen_ppl=40.0, calls=500.0, seconds=20.0),
    ]
    assert comparisons(rows) == [
        "ssd-lm over ddpm-cache, gen PPL: 1.5 here, 1.3 in the README",
        "ssd-lm over ddpm-cache, seconds: 40 here, 27.7 in the README",
        "ssd-lm over ddpm-cache, network calls: 42 here, at least 27.3 in the README",
        "sampled for ssd-lm 3,200 s, ddpm-cache 80 s",
    ]
