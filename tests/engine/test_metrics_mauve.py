"""MAUVE against mauve-text called directly."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from engine.metrics.judge import LanguageModel
from engine.metrics.judges import load_judge
from engine.metrics.mauve import FEWEST, Features, check_installed, features, mauve, warning
from tests.engine.judges import save_gpt2, texts


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mauve-text knows a GPT-2 by its name."""
    return save_gpt2(tmp_path_factory.mktemp("gpt2"), 300)


@pytest.fixture(scope="module")
def judge(home: Path) -> LanguageModel:
    return load_judge(str(home), "cpu")


def cloud(count: int, shift: float, seed: int) -> Features:
    points = np.random.default_rng(seed).normal(size=(count, 6))
    points[:, 0] += shift
    return Features(points.astype(np.float32))


def test_it_is_what_the_package_gives_for_texts(
    home: Path, judge: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mauve import compute_mauve

    monkeypatch.setenv("DISABLE_TQDM", "1")
    samples, references = texts(60, seed=1), [text.upper() for text in texts(50, seed=2)]
    expected = compute_mauve(
        p_text=references, q_text=samples, featurize_model_name=str(home), max_text_length=1024, seed=25,
        num_buckets="auto", mauve_scaling_factor=5,
    )  # fmt: skip
    points = [features(judge, [*found, ""], "reference") for found in (samples, references)]
    found = mauve(*points, "reference", featurizer=judge.name)
    assert found.value == pytest.approx(expected.mauve, abs=1e-6)
    assert 0.004 < found.value < 0.99
    assert found.buckets == expected.num_buckets == 5
    assert (found.samples, found.references, found.empty) == (60, 50, 2)
    assert found.by_seed == {25: found.value}
    assert found.deviation is None


def test_a_tenth_of_the_texts_is_rounded_to_buckets() -> None:
    assert mauve(cloud(38, 0, 1), cloud(40, 0, 2), featurizer="cloud").buckets == 4


def test_one_distribution_scores_higher_than_two() -> None:
    same, other = (mauve(cloud(300, x, 1), cloud(300, 0, 2), featurizer="cloud").value for x in (0, 2))
    assert same > 0.9
    assert other < 0.4


def test_the_standard_is_the_mean_over_seeds() -> None:
    a, b = cloud(60, 0.6, 3), cloud(60, 0, 4)
    found = mauve(a, b, featurizer="cloud")
    alone = {seed: mauve(a, b, featurizer="cloud", seeds=[seed]).value for seed in (25, 26, 27, 28, 29)}
    assert found.by_seed == alone
    assert found.value == pytest.approx(np.mean(list(alone.values())))
    assert found.deviation == pytest.approx(np.std(list(alone.values()), ddof=1))
    assert found.deviation > 0


def test_few_texts_are_warned_of_and_too_few_refused() -> None:
    found = mauve(cloud(FEWEST, 0, 1), cloud(40, 0, 2), featurizer="cloud")
    assert found.buckets == 2
    assert found.warning is not None
    assert "MAUVE of 20 texts is not comparable with MAUVE of 1,000 or more" in found.warning
    assert warning(1000) is None
    with pytest.raises(ValueError, match="at least 20 samples and 20 references that are not empty, got 19 and 40"):
        mauve(cloud(19, 0, 1), cloud(40, 0, 2), featurizer="cloud")


def test_features_that_cannot_be_compared_are_refused() -> None:
    good, bad = cloud(30, 0, 1), cloud(30, 0, 2)
    bad.points[7] = np.nan
    with pytest.raises(ValueError, match="features of 1 samples are not finite, the first of them number 7"):
        mauve(bad, good, featurizer="cloud")
    narrow = Features(good.points[:, :3])
    with pytest.raises(ValueError, match="samples have 3 features, references 6"):
        mauve(narrow, good, featurizer="cloud")
    flat = Features(np.ones((30, 6), np.float32))
    with pytest.raises(ValueError, match="all texts have the same features"):
        mauve(flat, flat, featurizer="cloud")


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    mauve(cloud(60, 0, 1), cloud(60, 0, 2), featurizer="cloud")
    assert capfd.readouterr() == ("", "")


def test_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed()
    monkeypatch.setitem(sys.modules, "mauve.compute_mauve", None)
    with pytest.raises(ModuleNotFoundError, match=r"package mauve-text: pip install 'remdm-tui\[eval\]'"):
        check_installed()
