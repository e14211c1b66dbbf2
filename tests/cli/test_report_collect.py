"""Which evaluations a report is about, and which of them it puts side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from remdm_tui.reports.collect import collect, why_not_one_plot
from remdm_tui.reports.tables import facts, warnings
from tests.cli.evaluations import results, sweep, write


def homes(root: Path, *roots: Path) -> list[str]:
    return [e.home.name for g in collect([root, *roots]).groups for s in g.series for e in s.evaluations]


def test_a_sweep_is_found_below_its_directory_with_fewest_steps_first(tmp_path: Path) -> None:
    sweep(tmp_path, ("mdlm",), (1024, 128, 2048))
    assert homes(tmp_path) == [f"strategy=mdlm,steps={n}" for n in (128, 1024, 2048)]


def test_a_directory_named_twice_counts_once(tmp_path: Path) -> None:
    home = write(tmp_path / "a", results())
    assert homes(tmp_path, home, tmp_path / "." / "a") == ["a"]


def test_what_is_unfinished_or_damaged_is_a_sentence_and_the_rest_is_shown(tmp_path: Path) -> None:
    write(tmp_path / "good", results())
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "samples.jsonl").touch()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "results.json").write_text('{"format": 1')
    found = collect([tmp_path])
    assert len(found.groups) == 1
    assert [next(name for name in ("bad", "begun") if f"/{name}" in remark) for remark in found.remarks] == [
        "bad",
        "begun",
    ]
    assert "no results yet" in found.remarks[1]


def test_results_whose_settings_name_no_steps_are_damaged(tmp_path: Path) -> None:
    write(tmp_path / "good", results())
    write(tmp_path / "odd", results(sampling={"steps": "many"}))
    (remark,) = collect([tmp_path]).remarks
    assert "odd" in remark
    assert "steps" in remark


def test_a_directory_without_an_evaluation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no evaluation to report on"):
        collect([tmp_path])


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a directory"):
        collect([tmp_path / "nothing"])


def test_a_series_is_named_by_what_differs_and_by_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "1", results("mdlm"))
    for eta in (0.02, 0.04):
        write(tmp_path / f"cap{eta}", results("remdm-cap", knobs={"eta": eta, "when": "always"}))
    (group,) = collect([tmp_path]).groups
    assert [series.name for series in group.series] == ["mdlm", "remdm-cap eta=0.02", "remdm-cap eta=0.04"]


def test_a_digest_names_a_series_only_beside_another_of_its_strategy(tmp_path: Path) -> None:
    for name, strategy, digest in (("1", "mdlm", None), ("2", "prism", "a"), ("3", "prism", "b")):
        write(tmp_path / name, results(strategy, sampling={"quality_digest": digest}))
    (one,), (all_,) = collect([tmp_path / "1", tmp_path / "2"]).groups, collect([tmp_path]).groups
    assert [series.name for series in one.series] == ["mdlm", "prism"]
    assert [series.name for series in all_.series] == ["mdlm", "prism quality_digest=a", "prism quality_digest=b"]


def test_a_setting_in_which_all_differ_names_every_series(tmp_path: Path) -> None:
    for p in (0.9, 1.0):
        write(tmp_path / str(p), results(sampling={"top_p": p}))
    (group,) = collect([tmp_path]).groups
    assert [series.name for series in group.series] == ["mdlm top_p=0.9", "mdlm top_p=1"]
    assert "top_p" not in dict(facts(group))


def test_a_setting_that_follows_from_another_is_not_listed_with_it(tmp_path: Path) -> None:
    for name, fingerprint in (("demo", "a"), ("demo-ar", "b"), ("mine", "c")):
        write(tmp_path / name, results(sampling={"model_name": name, "its_fingerprint": fingerprint}))
    (group,) = collect([tmp_path]).groups
    assert [series.name for series in group.series] == [
        f"mdlm model_name={name}" for name in ("demo", "demo-ar", "mine")
    ]
    # the same name for something else
    write(tmp_path / "again", results(sampling={"model_name": "mine", "its_fingerprint": "d"}))
    (group,) = collect([tmp_path]).groups
    assert {series.name for series in group.series} == {
        f"mdlm model_name={name} its_fingerprint={fingerprint}"
        for name, fingerprint in (("demo", "a"), ("demo-ar", "b"), ("mine", "c"), ("mine", "d"))
    }


def test_nothing_is_a_setting_too(tmp_path: Path) -> None:
    for eta in (0.0, 0.02):
        write(tmp_path / str(eta), results("remdm-cap", knobs={"eta": eta}, sampling={"temperature": 0.0}))
    (group,) = collect([tmp_path]).groups
    assert [series.name for series in group.series] == ["remdm-cap eta=0", "remdm-cap eta=0.02"]
    assert dict(facts(group))["temperature"] == "0"


def test_seeds_of_one_setting_are_one_point(tmp_path: Path) -> None:
    for seed in (3, 1, 2):
        write(tmp_path / str(seed), results(seed=seed))
    (group,) = collect([tmp_path]).groups
    (series,) = group.series
    (point,) = series.points
    assert [e.seed for e in point.evaluations] == [1, 2, 3]


def test_the_same_seed_twice_is_remarked_on(tmp_path: Path) -> None:
    write(tmp_path / "a", results())
    write(tmp_path / "b", results())
    assert ["same setting and seed" in remark for remark in collect([tmp_path]).remarks] == [True]


@pytest.mark.parametrize(
    ("change", "described"),
    [
        ({"count": 100}, "samples (5,000 and 100)"),
        ({"judge": "demo-judge"}, "judge (gpt2-large and demo-judge)"),
        ({"conventions": {"reference": ("Another sentence.",)}}, "what the conventions say"),
    ],
)
def test_what_cannot_be_compared_is_shown_apart_and_the_difference_is_reported(
    tmp_path: Path, change: dict[str, object], described: str
) -> None:
    write(tmp_path / "1", results())
    write(tmp_path / "2", results("remdm-cap", **change))
    groups = collect([tmp_path]).groups
    assert len(groups) == 2
    assert described in (why_not_one_plot(groups) or "")


def test_what_can_be_compared_has_no_warning(tmp_path: Path) -> None:
    sweep(tmp_path)
    groups = collect([tmp_path]).groups
    assert len(groups) == 1
    assert why_not_one_plot(groups) is None
    assert warnings(groups[0]) == ()


def test_conventions_that_were_not_measured_are_refused_with_those_that_were(tmp_path: Path) -> None:
    write(tmp_path / "a", results())
    with pytest.raises(ValueError, match="'standard', only reference"):
        collect([tmp_path], "standard")


def test_small_numbers_of_samples_and_failures_are_warned_of(tmp_path: Path) -> None:
    from engine.evaluation.results import FailedSample

    write(tmp_path / "a", results(count=100, failed=(FailedSample(3, 10, 7),), notes=("The batch was halved",)))
    (group,) = collect([tmp_path]).groups
    described = " ".join(warnings(group))
    assert "MAUVE of 100 texts is not comparable" in described
    assert "1 sample of" in described
    assert "The batch was halved." in described


def test_what_was_run_is_reported_in_full(tmp_path: Path) -> None:
    write(tmp_path / "a", results(seed=4))
    described = dict(facts(collect([tmp_path]).groups[0]))
    assert described["model"] == "kuleshov-group/mdlm-owt"
    assert described["samples (N)"] == "5,000 for each setting"
    assert described["seeds"] == "4"
    assert "gpt2-large" in described["judge"]
    assert described["featurizer"] == "gpt2-large"
    assert described["references"] == "5,000 texts of openwebtext-split"
    assert described["remdm-tui"] == "0.1.0"
