"""An evaluation, whatever happens to it on its way: the samples, the figures, and what lies in its directory."""

from __future__ import annotations

import errno
import hashlib
import re
import resource
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor

import engine
from engine.evaluation import drawing
from engine.evaluation.plan import EvalPlan, PlannedModel, Sampling, Scoring, plan_differences
from engine.evaluation.results import RESULTS, SAMPLES, Judged, Results, SampleLine, read_results, read_samples
from engine.evaluation.run import EvalJob, EvalProgress
from engine.evaluation.scoring import Readers
from engine.evaluation.shards import Scored
from engine.evaluation.store import EvalStore
from engine.files.atomic import replacing
from engine.files.checksums import checksum, known
from engine.files.fingerprint import fingerprint
from engine.files.json_lines import encode_line
from engine.files.jsonl import Appended
from engine.files.locks import BusyError
from engine.metrics import diversity
from engine.metrics.bootstrap import interval
from engine.metrics.generative_perplexity import generative_perplexity
from engine.metrics.judge import LanguageModel
from engine.metrics.judges import load_judge
from engine.metrics.mauve import Features, features, mauve
from engine.models.text import Codec
from engine.records import ModelInfo
from engine.sampling.batch import AbandonedSample as Lost
from engine.sampling.batch import Sample
from engine.strategies import make_strategy
from engine.system.ranks import Alone, Layout, RankLostError, Ranks, launched
from tests.engine.judges import save_gpt2, texts
from tests.engine.toys import TextToy
from tests.waiting import PATIENCE

T = TypeVar("T")
STRATEGY = make_strategy("remdm-cap", eta=0.2)
SAMPLING = Sampling(
    strategy="remdm-cap", knobs={"eta": 0.2}, top_p=0.9, temperature=1.0, nucleus="exclusive", draw="inverse-cdf",
    steps=7,
    length=12, seed=5, count=50,
)  # fmt: skip
MODEL = PlannedModel("toy", "0", "float32", "toy")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_judge(str(save_gpt2(tmp_path_factory.mktemp("judge"), 64)), "cpu")


def plan(judge: LanguageModel | None, references: str | None = "texts", **sampling: Any) -> EvalPlan:
    scoring = Scoring(("reference", "standard"), judge and judge.name, references=references if judge else None)
    return EvalPlan(MODEL, msgspec.structs.replace(SAMPLING, **sampling), scoring)


def job(home: Path, chosen: EvalPlan, judge: LanguageModel | None, ranks: Ranks | None = None, **more: Any) -> EvalJob:
    store = EvalStore(home)
    if ranks is None or ranks.rank == 0:
        home.mkdir(exist_ok=True)
        store.settle(chosen)
    reads = Readers(judge, judge if chosen.scoring.references else None)
    given: dict[str, Any] = {
        "plan": chosen, "store": store, "ranks": ranks or Alone(), "model": TextToy(), "width": 4, "start": "one",
        "readers": reads, "references": lambda who: features(who, texts(40, seed=8)), "notice": lambda sentence: None,
    }  # fmt: skip
    return EvalJob(**{**given, **more})


def finished(home: Path, chosen: EvalPlan, judge: LanguageModel | None, **more: Any) -> Results:
    work = job(home, chosen, judge, **more)
    for _ in work.run():
        pass
    assert work.results is not None
    return work.results


def kept(home: Path) -> dict[str, bytes]:
    """The files of a finished evaluation; of results.json all but its clock."""
    found = {
        path.name: path.read_bytes()
        for path in home.iterdir()
        if not path.name.startswith((".", "time.", "results.json."))
    }
    results = msgspec.json.decode(found[RESULTS])
    for name in ("timing", "seconds"):
        del results[name]
    return {**found, RESULTS: msgspec.json.encode(results)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, judge: LanguageModel) -> Path:
    """An evaluation that nothing happened to."""
    home = tmp_path_factory.mktemp("whole")
    finished(home, plan(judge), judge)
    return home


@pytest.fixture(scope="module")
def without_references(tmp_path_factory: pytest.TempPathFactory, judge: LanguageModel) -> Path:
    """The same without references."""
    home = tmp_path_factory.mktemp("without_references")
    finished(home, plan(judge, None), judge)
    return home


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without a judge."""
    home = tmp_path_factory.mktemp("unjudged")
    finished(home, plan(None), None)
    return home


@pytest.fixture(scope="module")
def half_scored(tmp_path_factory: pytest.TempPathFactory, judge: LanguageModel) -> Path:
    """An evaluation that ended after the scores of 20 samples."""
    home = tmp_path_factory.mktemp("half_scored")
    stream = job(home, plan(judge), judge).run()
    while (report := next(stream)).stage != "scoring" or report.done < 20:
        pass
    stream.close()  # type: ignore[attr-defined]
    return home


def copy(there: Path, home: Path) -> None:
    """Have a copy of an evaluation in a directory that is there and empty."""
    shutil.copytree(there, home, dirs_exist_ok=True)


def test_the_samples_are_the_engines(whole: Path) -> None:
    shape: dict[str, Any] = {"steps": 7, "length": 12, "count": 50, "seed": 5}
    expected = engine.sample(TextToy(), STRATEGY, **shape)
    lines = read_samples(whole)
    assert [line.number for line in lines] == list(range(50))
    assert [list(line.ids) for line in lines] == expected.tolist()
    assert all(line.text == "".join("abcde"[i] for i in line.ids) for line in lines)
    assert all(line.seed == 5 for line in lines)


def test_the_figures_are_those_of_the_metrics_on_all_samples_at_once(whole: Path, judge: LanguageModel) -> None:
    found, lines = read_results(whole), read_samples(whole)
    every, ids = [line.text for line in lines], [line.ids for line in lines]
    for how in ("reference", "standard"):
        expected = generative_perplexity(judge, every, ids, how)
        ppl = found.metrics[how].gen_ppl
        assert ppl is not None
        assert ppl.perplexity.value == pytest.approx(expected.perplexity.value, rel=1e-6)
        assert ppl.perplexity.low == pytest.approx(expected.perplexity.low, rel=1e-6)
        assert (ppl.tokens, ppl.texts, ppl.limit) == (expected.tokens, expected.texts, expected.limit)
        compared = mauve(features(judge, every), features(judge, texts(40, seed=8)), how, featurizer=judge.name)
        measured = found.metrics[how].mauve
        assert measured is not None
        assert measured.value == pytest.approx(compared.value, abs=1e-4)
        assert measured.warning == compared.warning
        assert len(found.conventions[how]) > 8
    assert found.gen_ppl == found.metrics["reference"].gen_ppl.perplexity.value  # type: ignore[union-attr]
    assert found.mauve == found.metrics["reference"].mauve.value  # type: ignore[union-attr]


def test_entropy_is_that_of_counted_tokens(whole: Path) -> None:
    found, lines = read_results(whole), read_samples(whole)
    by_hand = []
    for line in lines:
        p = np.array([line.ids.count(token) / len(line.ids) for token in set(line.ids)])
        by_hand.append(float(-(p * np.log(p)).sum()))
    assert [line.entropy for line in lines] == pytest.approx(by_hand, abs=1e-6)
    expected = interval(by_hand)
    assert found.entropy == pytest.approx(expected.value, abs=1e-6)
    assert found.entropy_interval.low == pytest.approx(expected.low, abs=1e-6)
    assert found.distinct["2"] == diversity.diversity([line.ids for line in lines]).distinct[2]


def test_network_calls_are_counted(tmp_path: Path) -> None:
    model = TextToy()
    found = finished(tmp_path, plan(None), None, model=model)
    assert found.calls.total == model.encoded
    assert found.network_calls == pytest.approx(model.encoded / 50)
    assert found.calls.saved == pytest.approx(1 - model.encoded / 350)
    assert found.gen_ppl is None
    assert found.mauve is None


def test_every_setting_is_in_the_results(whole: Path, judge: LanguageModel) -> None:
    assert msgspec.convert(read_results(whole).settings, EvalPlan) == plan(judge)


def test_results_that_do_not_match_their_checksum_are_refused(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "out")
    path = tmp_path / "out" / RESULTS
    assert known(path) == [hashlib.sha256(path.read_bytes()).hexdigest()]
    read_results(tmp_path / "out")
    results = path.read_bytes()
    changed = results.replace(b'"samples": ', b'"samples": 1', 1)
    assert changed != results
    path.write_bytes(changed)
    with pytest.raises(
        ValueError, match=r"results\.json is damaged: it does not match its checksum in results\.json\.sha"
    ):
        read_results(tmp_path / "out")
    # as earlier versions left it
    checksum(path).unlink()
    read_results(tmp_path / "out")


@pytest.mark.parametrize("after", [0, 1, 2, 17, 49, 51, 52, 54, 55])
def test_one_that_is_cut_short_and_begun_again_ends_with_the_same_files(
    after: int, tmp_path: Path, whole: Path, judge: LanguageModel
) -> None:
    stream = job(tmp_path, plan(judge), judge).run()
    for _ in range(after):
        next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert not (tmp_path / RESULTS).exists()
    finished(tmp_path, plan(judge), judge)
    assert kept(tmp_path) == kept(whole)


def test_what_was_finished_is_not_drawn_again(tmp_path: Path) -> None:
    model = TextToy()
    stream = job(tmp_path, plan(None), None, model=model).run()
    while next(stream).done < 30:
        pass
    stream.close()  # type: ignore[attr-defined]
    before, again = model.encoded, TextToy()
    lines = read_samples(tmp_path)
    found = finished(tmp_path, plan(None), None, model=again)
    assert len(lines) == 30
    calls = sum(line.network_calls for line in read_samples(tmp_path) if line.number not in {x.number for x in lines})
    assert again.encoded == calls < before
    assert found.timing.starts == 1  # both starts are named alike here


def test_a_line_that_was_being_written_is_cut_off_and_drawn_again(
    tmp_path: Path, whole: Path, judge: LanguageModel
) -> None:
    stream = job(tmp_path, plan(judge), judge).run()
    while next(stream).done < 20:
        pass
    stream.close()  # type: ignore[attr-defined]
    path = tmp_path / SAMPLES
    data = path.read_bytes()
    last = data[:-1].rindex(b"\n") + 1
    for cut in (len(data) - 1, last + 1, (last + len(data)) // 2):
        path.write_bytes(data[:cut])
        assert len(EvalStore(tmp_path).samples()) == 19
    finished(tmp_path, plan(judge), judge)
    assert kept(tmp_path) == kept(whole)


@pytest.mark.parametrize(
    "sampling",
    [
        {"strategy": "threshold", "knobs": {"threshold": 1.0}, "steps": 3},
        {"strategy": "threshold", "knobs": {"threshold": 1.0}, "steps": 6, "block_length": 4},
        {"strategy": "wino", "knobs": {"verify": "exact"}},
        {"strategy": "info-gain", "knobs": {}},
        {"cfg": 1.0, "prompt": "ab"},
    ],
    ids=["clean-up", "clean-up of blocks", "a call a token", "a call a candidate", "guidance"],
)
def test_samples_that_took_more_calls_than_steps_are_kept(tmp_path: Path, sampling: dict[str, Any]) -> None:
    chosen = plan(None, count=3, **sampling)
    found = finished(tmp_path, chosen, None)
    assert found.network_calls > found.calls.every_step
    assert found.calls.saved == 0
    work, remarks = job(tmp_path, chosen, None), list[str]()
    assert work.store.is_finished(chosen, work.fault, remarks.append)
    assert remarks == []


def damage(path: Path, place: int, line: bytes) -> None:
    """Put another line in place of one of a file."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[: place - 1], line, *lines[place:]]))


@pytest.mark.parametrize(
    "line", [b'{"number": \n', b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"\n", b'{"number": 3}\n', b'{"seed": "\xff"}\n']
)
def test_a_line_that_is_damaged_is_named_and_drawn_again(tmp_path: Path, unjudged: Path, line: bytes) -> None:
    copy(unjudged, tmp_path)
    before, remarks = kept(tmp_path), list[str]()
    damage(tmp_path / SAMPLES, 4, line)
    damage(tmp_path / "time.rank0.jsonl", 1, line)
    store, chosen = EvalStore(tmp_path), plan(None)
    assert not store.is_finished(chosen, notice=remarks.append)
    (tmp_path / RESULTS).unlink()
    again = finished(tmp_path, chosen, None, notice=remarks.append)
    assert kept(tmp_path) == before
    assert again.timing.starts == 1
    assert [sentence.partition(" is left out")[0] for sentence in remarks] == [
        f"{tmp_path / SAMPLES}, line 4", f"{tmp_path / SAMPLES}, line 4", f"{tmp_path / 'time.rank0.jsonl'}, line 1",
    ]  # fmt: skip


def test_one_digit_of_a_token_or_a_figure_is_seen_and_the_line_made_again(
    tmp_path: Path, whole: Path, judge: LanguageModel
) -> None:
    copy(whole, tmp_path)
    before, remarks = kept(tmp_path), list[str]()
    lines = (tmp_path / SAMPLES).read_bytes().splitlines(keepends=True)
    (number,) = re.findall(rb'"ids":\[(\d+)', lines[3])
    one = lines[3].replace(b'"ids":[' + number, b'"ids":[%d' % (int(number) ^ 1))
    other = re.sub(rb'("nats":\d\d*\.\d)(\d)', lambda found: found[1] + b"%d" % (int(found[2]) ^ 1), lines[5], count=1)
    for place, line in ((4, one), (6, other)):
        damage(tmp_path / SAMPLES, place, line)
    with pytest.raises(ValueError, match="line 4: it does not match its checksum"):
        read_samples(tmp_path)
    assert not EvalStore(tmp_path).is_finished(plan(judge), notice=remarks.append)
    (tmp_path / RESULTS).unlink()
    finished(tmp_path, plan(judge), judge)
    assert kept(tmp_path) == before
    assert [sentence.partition(" is left out")[0] for sentence in remarks] == [
        f"{tmp_path / SAMPLES}, line {place}" for place in (4, 6)
    ]


def test_a_line_without_a_checksum_is_read_as_it_is(tmp_path: Path, unjudged: Path) -> None:
    copy(unjudged, tmp_path)
    before = read_samples(tmp_path)
    (tmp_path / SAMPLES).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in before))
    assert read_samples(tmp_path) == before


def test_a_line_too_many_is_taken_out_of_what_is_finished(tmp_path: Path, unjudged: Path) -> None:
    copy(unjudged, tmp_path)
    before, remarks = kept(tmp_path), list[str]()
    more = msgspec.structs.replace(read_samples(tmp_path)[3], number=50)
    with (tmp_path / SAMPLES).open("ab") as file:
        file.write(msgspec.json.encode(more) + b"\nnonsense\n")
    (tmp_path / "failed.rank3.jsonl").write_bytes(b'{"number":3,"step":1,"position":2}\n')
    work = job(tmp_path, plan(None), None)
    assert work.store.is_finished(work.plan, work.fault, remarks.append)
    assert kept(tmp_path) == before
    assert len(remarks) == 2
    assert remarks[0].endswith("line 51 is left out and made again where need be: there is no sample 50 of 50")
    assert "line 52 is left out and made again where need be: it is damaged" in remarks[1]


def scores(home: Path) -> list[Scored]:
    return list(EvalStore(home).shards.scores().values())


FOREIGN: dict[str, Callable[[Scored], Any]] = {
    "no number": lambda line: msgspec.structs.replace(line, number=50),
    "no judge": lambda line: msgspec.structs.replace(line, judged=None),
    "other conventions": lambda line: msgspec.structs.replace(line, judged={"standard": Judged(1.0, 2)}),
    "no nats": lambda line: {**msgspec.to_builtins(line), "judged": {"standard": {"nats": "nan", "tokens": 1}}},
    "no features": lambda line: msgspec.structs.replace(line, features=None),
    "short features": lambda line: msgspec.structs.replace(line, features=(line.features or b"")[:-4]),
    "odd features": lambda line: msgspec.structs.replace(line, features=b"abc"),
    "infinite features": lambda line: msgspec.structs.replace(
        line, features=b"\0\0\x80\x7f" + (line.features or b"")[4:]
    ),
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_scores_that_nobody_can_have_given_are_named_and_given_again(
    tmp_path: Path, half_scored: Path, whole: Path, judge: LanguageModel, change: Callable[[Scored], Any]
) -> None:
    copy(half_scored, tmp_path)
    damage(tmp_path / "scores.rank0.jsonl", 3, msgspec.json.encode(change(scores(tmp_path)[2])) + b"\n")
    remarks: list[str] = []
    finished(tmp_path, plan(judge), judge, notice=remarks.append)
    assert kept(tmp_path) == kept(whole)
    assert [sentence.partition(" is left out")[0] for sentence in remarks if "left out" in sentence] == [
        f"{tmp_path / 'scores.rank0.jsonl'}, line 3"
    ]


def test_scores_that_contradict_each_other_are_given_again(
    tmp_path: Path, half_scored: Path, whole: Path, judge: LanguageModel
) -> None:
    copy(half_scored, tmp_path)
    line = scores(tmp_path)[2]
    other = msgspec.structs.replace(line, judged={how: Judged(1.0, 2) for how in line.judged or {}})
    (tmp_path / "scores.rank1.jsonl").write_bytes(msgspec.json.encode(other) + b"\n")
    finished(tmp_path, plan(judge), judge)
    assert kept(tmp_path) == kept(whole)


def test_a_sample_of_two_texts_is_none_of_them(tmp_path: Path, whole: Path) -> None:
    copy(whole, tmp_path)
    lines, remarks = EvalStore(tmp_path).samples(), list[str]()
    other = msgspec.structs.replace(lines[2], ids=lines[3].ids)
    (tmp_path / "samples.rank1.jsonl").write_bytes(encode_line(other))
    assert EvalStore(tmp_path).samples(notice=remarks.append).keys() == lines.keys() - {2}
    assert "sample 2 is there twice and differs" in remarks[0]


def test_one_missing_sample_is_enough_to_take_the_features_again(tmp_path: Path, whole: Path) -> None:
    copy(whole, tmp_path)
    EvalStore(tmp_path).forget_scores_without(set())
    assert (tmp_path / "features.npy").exists()
    EvalStore(tmp_path).forget_scores_without({2})
    assert not (tmp_path / "features.npy").exists()


@pytest.mark.parametrize("fault", ["rows", "columns", "type", "nan", "none", "pickle", "value"])
def test_features_of_other_samples_are_taken_again(
    tmp_path: Path, whole: Path, judge: LanguageModel, fault: str
) -> None:
    copy(whole, tmp_path)
    path, remarks = tmp_path / "features.npy", list[str]()
    points = np.load(path)
    changed: dict[str, Any] = {
        "rows": points[1:], "columns": points[:, 1:], "type": points.astype(np.float64), "nan": points * np.nan,
        "pickle": np.array([{}]), "value": points + np.eye(*points.shape, dtype=np.float32),
    }  # fmt: skip
    path.write_bytes(b"none") if fault == "none" else np.save(path, changed[fault], allow_pickle=True)
    if fault != "columns":
        work = job(tmp_path, plan(judge), judge)
        assert not work.store.is_finished(work.plan, work.fault, remarks.append)
    (tmp_path / RESULTS).unlink()
    finished(tmp_path, plan(judge), judge, notice=remarks.append)
    assert kept(tmp_path) == kept(whole)
    assert all("features.npy is not of these samples" in sentence for sentence in remarks if "MAUVE" not in sentence)
    assert remarks


@dataclass
class Threaded:
    """Processes, played by threads."""

    rank: int
    world: int
    barrier: threading.Barrier
    shared: list[Any] = field(default_factory=list)
    device: str | None = None

    def wait(self) -> None:
        try:
            self.barrier.wait(PATIENCE)
        except threading.BrokenBarrierError as error:
            raise RankLostError("another process of this run has ended") from error

    def broadcast(self, value: T) -> T:
        return value


def together(home: Path, world: int, work: Callable[[Threaded], None]) -> list[BaseException]:
    barrier, errors = threading.Barrier(world), []

    def one(rank: int) -> None:
        try:
            work(Threaded(rank, world, barrier))
        except (RankLostError, InterruptedError) as error:
            errors.append(error)
            barrier.abort()

    home.mkdir(exist_ok=True)
    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_any_number_of_processes_gives_the_files_of_one(tmp_path: Path, whole: Path, judge: LanguageModel) -> None:
    EvalStore(tmp_path).settle(plan(judge))

    def work(rank: Threaded) -> None:
        for _ in job(tmp_path, plan(judge), judge, rank, width=1 + rank.rank).run():
            pass

    assert together(tmp_path, 3, work) == []
    assert kept(tmp_path) == kept(whole)
    assert read_results(tmp_path).timing.processes == 3


def test_what_a_lost_process_leaves_is_done_by_the_next_start(
    tmp_path: Path, whole: Path, judge: LanguageModel
) -> None:
    EvalStore(tmp_path).settle(plan(judge))

    def work(rank: Threaded) -> None:
        for report in job(tmp_path, plan(judge), judge, rank).run():
            if rank.rank == 1 and report.done == 5:
                raise InterruptedError

    errors = together(tmp_path, 2, work)
    assert {type(error) for error in errors} == {InterruptedError, RankLostError}
    have = EvalStore(tmp_path).samples()
    assert len([number for number in have if number % 2]) == 5
    assert len([number for number in have if not number % 2]) == 25
    finished(tmp_path, plan(judge), judge)
    assert kept(tmp_path) == kept(whole)


def test_a_directory_of_other_settings_is_refused_with_what_changed(
    tmp_path: Path, unjudged: Path, judge: LanguageModel
) -> None:
    copy(unjudged, tmp_path)
    with pytest.raises(ValueError, match="other settings: choose another --out") as found:
        EvalStore(tmp_path).settle(plan(None, top_p=0.8, knobs={"eta": 0.1}))
    assert "sampling.knobs.eta: 0.2 -> 0.1" in str(found.value)
    assert "sampling.top_p: 0.9 -> 0.8" in str(found.value)
    assert "sampling.steps" not in str(found.value)
    with pytest.raises(ValueError, match="--rescore keeps its samples"):
        EvalStore(tmp_path).settle(plan(judge))


def test_another_judge_may_read_the_samples_that_there_are(
    tmp_path: Path, unjudged: Path, whole: Path, judge: LanguageModel
) -> None:
    copy(unjudged, tmp_path)
    EvalStore(tmp_path).settle(plan(judge), rescore=True)
    model = TextToy(good=0)
    finished(tmp_path, plan(judge), judge, model=model)
    assert kept(tmp_path) == kept(whole)


@pytest.mark.parametrize("is_whole", [True, False], ids=["finished", "killed"])
def test_more_samples_are_drawn_beside_those_that_there_are(
    tmp_path: Path, whole: Path, judge: LanguageModel, is_whole: bool
) -> None:
    for report in job(tmp_path, plan(judge, count=20), judge).run():
        if report.done == 11 and not is_whole:
            break
    before = EvalStore(tmp_path).samples()
    finished(tmp_path, plan(judge), judge, start="two")
    assert kept(tmp_path) == kept(whole)
    drawn_since = next(spent.samples for spent in EvalStore(tmp_path).shards.spent() if spent.start == "two")
    assert drawn_since == 50 - len(before)
    with pytest.raises(ValueError, match="other settings: choose another --out") as found:
        EvalStore(tmp_path).settle(plan(judge, count=49))
    assert "sampling.count: 50 -> 49" in str(found.value)


def test_more_samples_with_another_judge_are_rescored_when_that_is_meant(
    tmp_path: Path, whole: Path, judge: LanguageModel
) -> None:
    finished(tmp_path, plan(None, count=20), None)
    with pytest.raises(ValueError, match="--rescore keeps its samples"):
        EvalStore(tmp_path).settle(plan(judge))
    EvalStore(tmp_path).settle(plan(judge), rescore=True)
    finished(tmp_path, plan(judge), judge)
    assert kept(tmp_path) == kept(whole)


def test_samples_without_settings_are_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / SAMPLES).write_text("")
    with pytest.raises(ValueError, match="samples of unknown settings"):
        EvalStore(tmp_path).settle(plan(None))


def test_a_directory_is_one_evaluations_at_a_time(tmp_path: Path) -> None:
    first, second = EvalStore(tmp_path), EvalStore(tmp_path)
    first.take()
    with pytest.raises(BusyError, match="another run is at work in"):
        second.take()
    first.close()
    second.take()
    second.close()


def test_a_directory_that_cannot_be_made_is_reported_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file cannot be written in: File exists; choose another --out"):
        EvalStore(tmp_path / "file").take()


def test_a_disk_with_too_little_room_is_reported_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="MB are free and the samples may take"):
        EvalStore(tmp_path).settle(plan(None, count=10**12))


@pytest.fixture
def small_disk() -> Iterator[Callable[[int], None]]:
    """Files that may not grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_loses_nothing_that_was_written(
    tmp_path: Path, whole: Path, judge: LanguageModel, small_disk: Callable[[int], None]
) -> None:
    work = job(tmp_path, plan(judge), judge)
    small_disk(3000)
    with pytest.raises(OSError, match=SAMPLES):
        for _ in work.run():
            pass
    small_disk(resource.RLIM_INFINITY)
    data = (tmp_path / SAMPLES).read_bytes()
    assert data.endswith(b"\n")
    assert 5 < len(read_samples(tmp_path)) < 50
    finished(tmp_path, plan(judge), judge)
    assert kept(tmp_path) == kept(whole)


class Crowded(TextToy):
    """A toy on a device that holds two sequences."""

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return super().encode(tokens, t)


def test_where_memory_is_short_half_as_many_share_the_network_and_the_samples_are_the_same(
    tmp_path: Path, whole: Path, judge: LanguageModel
) -> None:
    remarks: list[str] = []
    found = finished(tmp_path, plan(judge), judge, model=Crowded(), width=8, notice=remarks.append)
    assert [sentence.partition(": ")[2] for sentence in remarks] == [
        f"{width} samples share the network from here on" for width in (4, 2)
    ]
    assert found.notes == tuple(remarks)
    assert read_samples(tmp_path) == read_samples(whole)


def test_where_one_sample_is_too_much_that_is_reported(tmp_path: Path) -> None:
    class Full(TextToy):
        def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(ValueError, match="one sample does not fit into the device's memory"):
        finished(tmp_path, plan(None), None, model=Full())


def test_a_judge_that_has_to_read_less_at_a_time_says_so(tmp_path: Path, whole: Path, judge: LanguageModel) -> None:
    class Small(LanguageModel):
        def _nll(self, rows: list[Tensor]) -> Any:
            if len(rows) > 4:
                raise torch.OutOfMemoryError("out of memory")
            return super()._nll(rows)

    reader, remarks = Small(judge.name, judge.model, judge.tokenizer), list[str]()
    finished(tmp_path, plan(judge), judge, readers=Readers(reader, judge), notice=remarks.append)
    assert [sentence.partition(": ")[0] for sentence in remarks] == ["the device's memory is full"]
    found = read_samples(tmp_path)
    assert [line.ids for line in found] == [line.ids for line in read_samples(whole)]


class Poisoned(TextToy):
    """A toy that gives NaN at position 4 of texts that begin with b."""

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        hidden = super().encode(tokens, t)
        hidden[tokens[:, 0] == 1, 4] = torch.nan
        return hidden


@pytest.mark.parametrize("predictor", ["lazy", "ddpm_cache"])
def test_a_sample_that_the_network_fails_is_named_and_the_rest_is_reported(tmp_path: Path, predictor: str) -> None:
    more: dict[str, Any] = {"top_p": 1.0, "predictor": predictor}
    if predictor != "lazy":
        more |= {"strategy": "mdlm", "knobs": {}}
    remarks: list[str] = []
    found = finished(tmp_path, plan(None, **more), None, model=Poisoned(), notice=remarks.append)
    assert 0 < len(found.failed) < 50
    assert found.samples + len(found.failed) == 50
    assert {lost.number for lost in found.failed} | {line.number for line in read_samples(tmp_path)} == set(range(50))
    assert {lost.position for lost in found.failed} == {4}
    assert len(remarks) == len(found.failed)
    assert "failed: the network's logits at step" in remarks[0]
    assert not EvalStore(tmp_path).is_finished(plan(None, **more))
    mended = finished(tmp_path, plan(None, **more), None)
    assert mended.samples == 50
    assert mended.failed == ()


class FromTheLeft(TextToy):
    """A toy that predicts from the left alone; it hears what stands there, and nothing stands left of a text."""

    causal = True

    def __init__(self) -> None:
        super().__init__()
        self.codec = Codec(Tokenizer(WordLevel({"<|endoftext|>": 0, "a": 1, "b": 2, "c": 3, "d": 4}, "a")))

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("toy", 0, "float32", "cpu", self.vocab_size, self.mask_id, self.max_length, False, ())

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        self.encoded += len(tokens)
        left = tokens.roll(1, -1)
        left[:, 0] = 0
        return self.place[: tokens.shape[1]] + self.left[left]


AR: dict[str, Any] = {"strategy": "left-to-right", "knobs": {}, "top_p": 0.9, "predictor": "ar", "steps": 10}


def test_an_autoregressive_sample_is_between_two_starts(tmp_path: Path) -> None:
    """All but the ends is what the model draws by itself on a canvas that is shorter by two."""
    chosen = plan(None, **AR, length=12, count=9)
    found = finished(tmp_path, chosen, None, model=FromTheLeft())
    drawn = engine.sample(
        FromTheLeft(), make_strategy("left-to-right"), steps=10, length=10, count=9, seed=5, top_p=0.9
    )
    lines = read_samples(tmp_path)
    assert [list(line.ids) for line in lines] == [[0, *row, 0] for row in drawn.tolist()]
    assert all(line.text.count("<|endoftext|>") == line.ids.count(0) for line in lines)
    assert (found.network_calls, found.calls.every_step) == (10, 10)
    work = job(tmp_path, chosen, None, model=FromTheLeft())
    assert [work.fault(line) for line in lines] == [None] * 9
    cut_off = msgspec.structs.replace(lines[0], ids=(1, *lines[0].ids[1:]))
    assert work.fault(cut_off) == "it does not begin and end with the start token"


@pytest.mark.parametrize(
    ("model", "more", "reason"),
    [
        (TextToy, {}, "ar draws from the left: choose a model that predicts from the left alone"),
        (FromTheLeft, {"length": 2}, "--length 3 or more, not 2"),
        (FromTheLeft, {"block_length": 4}, "leave out blocks and strides"),
        (FromTheLeft, {"strategy": "mdlm"}, "choose --strategy left-to-right"),
        (FromTheLeft, {"steps": 9}, "--steps 10 or more"),
        (
            FromTheLeft,
            {"predictor": "arr"},
            "unknown predictor 'arr': choose lazy, ddpm, ddpm_cache, analytic, ssd-lm, ar",
        ),
    ],
)
def test_what_cannot_be_between_two_starts_is_refused(model: type[TextToy], more: dict[str, Any], reason: str) -> None:
    chosen = plan(None, **{**AR, "length": 12, **more}).sampling
    with pytest.raises(ValueError, match=reason):
        drawing.check_plan(model(), chosen, [])  # type: ignore[arg-type]


def failing(numbers: set[int]) -> Callable[..., Iterator[Sample]]:
    """What draws the samples of an evaluation, for which these samples fail."""
    real = drawing.draw_samples

    def drawn(
        model: Any, chosen: Any, prompt: Any, todo: Any, width: int, failed: Any, notice: Any
    ) -> Iterator[Sample]:
        for number in numbers & set(todo):
            failed(Lost(number, 0, 0))
        yield from real(model, chosen, prompt, [n for n in todo if n not in numbers], width, failed, notice)

    return drawn


@pytest.mark.parametrize(("after", "references"), [(0, "texts"), (1, None), (3, "texts"), (60, None), (60, "texts")])
def test_the_longest_sample_may_come_last(
    after: int, references: str | None, whole: Path, without_references: Path, tmp_path: Path, judge: LanguageModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Padding and features are those of all samples, though the longest failed at first and a start was killed."""
    chosen, undisturbed, home = plan(judge, references), whole if references else without_references, tmp_path / "home"
    expected = read_results(undisturbed)
    lines = read_samples(undisturbed)
    lengths = {line.number: line.judged["reference"].unpadded.length for line in lines}  # type: ignore[index, union-attr]
    longest = {number for number, length in lengths.items() if length == max(lengths.values())}
    with monkeypatch.context() as patched:
        patched.setattr(drawing, "draw_samples", failing(longest))
        first = finished(home, chosen, judge)
    rest = [line for line in lines if line.number not in longest]
    alone = generative_perplexity(
        judge, [line.text for line in rest], [line.ids for line in rest], "reference", length=12
    )
    assert first.gen_ppl == pytest.approx(alone.perplexity.value, rel=1e-6)
    assert first.metrics["reference"].gen_ppl.tokens == alone.tokens  # type: ignore[union-attr]
    stream = job(home, chosen, judge).run()
    for _ in range(after):
        if next(stream, None) is None:
            break
    stream.close()  # type: ignore[attr-defined]
    again = finished(home, chosen, judge)
    assert again.gen_ppl == expected.gen_ppl
    assert kept(home) == kept(undisturbed)


def test_other_decisions_of_the_same_conventions_are_another_scoring(
    tmp_path: Path, judge: LanguageModel, whole: Path
) -> None:
    def decided(digest: str) -> EvalPlan:
        chosen = plan(judge)
        return msgspec.structs.replace(
            chosen, scoring=msgspec.structs.replace(chosen.scoring, decisions={"reference": digest})
        )

    finished(tmp_path, decided("older"), judge)
    with pytest.raises(ValueError, match=r"--rescore keeps its samples.*\n  scoring.decisions.reference: 'older' ->"):
        EvalStore(tmp_path).settle(decided("newer"))
    EvalStore(tmp_path).settle(decided("newer"), rescore=True)
    assert all(line.judged is None for line in read_samples(tmp_path))
    finished(tmp_path, decided("newer"), judge)
    assert read_samples(tmp_path) == read_samples(whole)


def test_scores_of_a_sample_that_is_drawn_again_are_forgotten(tmp_path: Path, judge: LanguageModel) -> None:
    undisturbed = tmp_path / "undisturbed"
    finished(undisturbed, plan(judge, None), judge)
    home = tmp_path / "home"
    stream = job(home, plan(judge, None), judge).run()
    while next(stream).stage != "scoring":
        pass
    stream.close()  # type: ignore[attr-defined]
    path = home / SAMPLES
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[1:]))
    shard = EvalStore(home).shards.score_shard(0)
    first, rest = shard.read_bytes().split(b"\n", 1)
    score = msgspec.json.decode(first)
    score["judged"]["standard"]["nats"] = 1e6
    shard.write_bytes(msgspec.json.encode(score) + b"\n" + rest)
    finished(home, plan(judge, None), judge)
    assert kept(home) == kept(undisturbed)


@pytest.mark.parametrize("predictor", ["ddpm", "ddpm_cache", "analytic"])
def test_the_predictors_of_the_field_draw_the_same_samples_in_any_batch(tmp_path: Path, predictor: str) -> None:
    chosen = plan(None, predictor=predictor, strategy="mdlm", knobs={}, top_p=1.0, count=9)
    one, many = tmp_path / "one", tmp_path / "many"
    first = finished(one, chosen, None, width=1)
    finished(many, chosen, None, width=4)
    assert [line.ids for line in read_samples(one)] == [line.ids for line in read_samples(many)]
    assert first.network_calls == 8 if predictor != "ddpm_cache" else first.network_calls <= 8
    named: list[str] = []
    assert finished(one, chosen, None, notice=named.append).samples == 9
    assert named == []


def test_windows_are_evaluated_at_their_full_length(tmp_path: Path) -> None:
    found = finished(tmp_path, plan(None, stride=5, strides=2, count=3), None)
    assert {len(line.ids) for line in read_samples(tmp_path)} == {22}
    assert found.calls.every_step == 21


def test_calls_are_held_against_the_steps_of_the_strategys_own_grid(tmp_path: Path) -> None:
    found = finished(tmp_path, plan(None, strategy="dfm", knobs={}, steps=16, count=5), None)
    assert found.calls.every_step == len(make_strategy("dfm").grid(16)) - 1 > 30
    assert 0 <= found.calls.saved < 1


def test_batches_of_the_reference_are_scored_as_the_metric_does(tmp_path: Path, judge: LanguageModel) -> None:
    chosen = msgspec.structs.replace(
        plan(judge), scoring=Scoring(("reference",), judge.name, references=None, together=12)
    )
    found = finished(tmp_path, chosen, judge)
    lines = read_samples(tmp_path)
    expected = generative_perplexity(
        judge, [line.text for line in lines], [line.ids for line in lines], "reference", batch=12
    )
    assert found.gen_ppl == pytest.approx(expected.perplexity.value, rel=1e-6)
    ppl = found.metrics["reference"].gen_ppl
    assert ppl is not None
    assert ppl.left_out == expected.left_out == 2
    assert [line.number for line in lines if line.judged and not line.judged["reference"].kept] == [48, 49]


def test_time_is_added_up_over_starts_and_processes(tmp_path: Path) -> None:
    ticks = iter(range(10**6))
    clock = lambda: float(next(ticks))  # noqa: E731
    stream = job(tmp_path, plan(None), None, clock=clock).run()
    while next(stream).done < 10:
        pass
    stream.close()  # type: ignore[attr-defined]
    found = finished(tmp_path, plan(None), None, clock=clock, start="two")
    assert found.timing.starts == 2
    assert found.timing.sampling_seconds >= 50
    assert found.timing.seconds_per_sequence == pytest.approx(found.timing.sampling_seconds / 50)
    assert found.timing.tokens_per_second == pytest.approx(600 / found.timing.sampling_seconds)


def test_a_judge_that_rejects_a_text_is_reported_after_the_first_sample(tmp_path: Path, judge: LanguageModel) -> None:
    class Picky:
        name, context, start, end = "picky", 64, None, None

        def tokens(self, every: Sequence[str]) -> list[list[int]]:
            raise ValueError("the tokenizer of picky rejects text 0: no reason given")

    chosen = msgspec.structs.replace(plan(judge), scoring=Scoring(("standard",), "picky"))
    with pytest.raises(ValueError, match="the tokenizer of picky rejects text 0"):
        for _ in job(tmp_path, chosen, None, readers=Readers(Picky(), None)).run():  # type: ignore[arg-type]
            pass
    assert len(read_samples(tmp_path)) == 1


def test_differences_name_every_setting_that_changed() -> None:
    was = plan(None)
    now = msgspec.structs.replace(plan(None, block_length=3), model=msgspec.structs.replace(MODEL, fingerprint="1"))
    assert plan_differences(was, now) == [("model.fingerprint", "0", "1"), ("sampling.block_length", None, 3)]
    assert plan_differences(was, was) == []


def test_a_knob_that_an_earlier_version_did_not_have_is_at_its_default() -> None:
    was = plan(None, strategy="low-confidence", knobs={})
    for knobs, changed in (
        ({"shares": "llada"}, []),
        ({"shares": "dream"}, [("sampling.knobs.shares", "llada", "dream")]),
    ):
        assert plan_differences(was, plan(None, strategy="low-confidence", knobs=knobs)) == changed


@pytest.mark.parametrize(
    ("environment", "layout"),
    [
        ({}, Layout(1, 1)),
        ({"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}, Layout(4, 2)),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, Layout(1, 1)),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "0"}, Layout(4, 2)),
    ],
)
def test_launchers_say_how_many_processes_there_are(environment: dict[str, str], layout: Layout) -> None:
    assert launched(environment) == layout


def test_a_number_of_processes_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="WORLD_SIZE should be a number of processes, not 'many'"):
        launched({"LOCAL_WORLD_SIZE": "1", "WORLD_SIZE": "many"})


def test_lines_are_all_there_or_none_of_them(tmp_path: Path, small_disk: Callable[[int], None]) -> None:
    file = Appended[SampleLine](tmp_path / "lines")
    line = SampleLine(0, 0, "x" * 100, (1,), 1, 0.0, 0.0)
    file.add([line])
    size = (tmp_path / "lines").stat().st_size
    small_disk(size + 10)
    with pytest.raises(OSError, match="lines"):
        file.add([line])
    assert (tmp_path / "lines").stat().st_size == size
    file.close()


def test_a_report_says_how_far_it_is(tmp_path: Path) -> None:
    stages = list(job(tmp_path, plan(None), None).run())
    sampling = [report for report in stages if report.stage == "sampling"]
    assert [report.done for report in sampling] == list(range(51))
    assert {report.total for report in sampling} == {50}
    assert 0 < sampling[-1].saved < 1
    assert isinstance(stages[-1], EvalProgress)


def test_features_that_were_kept_serve_again(tmp_path: Path, whole: Path, judge: LanguageModel) -> None:
    copy(whole, tmp_path)
    (tmp_path / RESULTS).unlink()

    class Unread(LanguageModel):
        def features(self, rows: Sequence[Sequence[int]]) -> Any:
            raise AssertionError("nothing is left to read")

        nll = features

    reader = Unread(judge.name, judge.model, judge.tokenizer)
    points = features(judge, texts(40, seed=8))
    given: dict[str, Any] = {"readers": Readers(reader, reader), "references": lambda who: points}
    again = finished(tmp_path, plan(judge), judge, **given)
    assert again.mauve is not None
    assert isinstance(points, Features)


class PartlyRead(LanguageModel):
    """A judge whose tokenizer finds no token in a text that begins with an a."""

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return [[] if text.startswith("a") else row for text, row in zip(texts, super().tokens(texts), strict=True)]


def test_texts_without_a_token_are_missing_from_the_features_of_a_finished_evaluation(
    tmp_path: Path, judge: LanguageModel
) -> None:
    reader = PartlyRead(judge.name, judge.model, judge.tokenizer)
    compared = features(reader, ["a", "and", *texts(40, seed=8)])
    given: dict[str, Any] = {"readers": Readers(judge, reader), "references": lambda who: compared}
    found = finished(tmp_path, plan(judge), judge, **given)
    missing = sum(line.text.startswith("a") for line in read_samples(tmp_path))
    measured = found.metrics["standard"].mauve
    assert measured is not None
    assert missing > 0
    assert compared.empty > 1
    assert (measured.samples, measured.empty) == (50 - missing, missing + compared.empty)
    work, notices = job(tmp_path, plan(judge), judge, **given), list[str]()
    assert work.store.is_finished(work.plan, work.fault, notices.append)
    assert notices == []


def test_results_of_other_settings_for_as_many_samples_are_written_again(tmp_path: Path) -> None:
    first = finished(tmp_path, plan(None), None)
    other = msgspec.structs.replace(
        first, settings={**first.settings, "sampling": {**first.settings["sampling"], "seed": 6}}
    )
    (tmp_path / RESULTS).write_bytes(msgspec.json.encode(other))
    checksum(tmp_path / RESULTS).unlink()
    notices: list[str] = []
    assert not EvalStore(tmp_path).is_finished(plan(None), notice=notices.append)
    assert "results.json is of other settings than settings.json: it is written again" in notices[0]


def test_a_sample_of_another_seed_is_named_and_drawn_again(tmp_path: Path, unjudged: Path) -> None:
    copy(unjudged, tmp_path)
    before = read_samples(tmp_path)
    wrong = msgspec.structs.replace(before[2], number=49, seed=77)
    (tmp_path / RESULTS).unlink()
    (tmp_path / SAMPLES).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in [*before[:49], wrong]))
    remarks: list[str] = []
    finished(tmp_path, plan(None), None, notice=remarks.append)
    assert read_samples(tmp_path) == before
    assert "line 50 is left out and made again where need be: it is of seed 77, not 5" in remarks[0]


def test_an_evaluation_inside_a_model_is_no_part_of_its_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "code.py").write_text("1")
    before = fingerprint(tmp_path)
    for lines, settings in (("samples.jsonl", "settings.json"), ("scores.jsonl", "perplexity.settings.json")):
        (home := tmp_path / "more" / f"of {lines}").mkdir()
        (home / lines).write_text("{}")
        (home / settings).write_text("{}")
        (tmp_path / settings).write_text("{}")
    # beside an evaluation's own files, and no model's
    (tmp_path / "samples.jsonl").write_text("{}")
    assert fingerprint(tmp_path) == before
    (tmp_path / "more" / "code.py").write_text("2")
    assert fingerprint(tmp_path) != before


def test_the_middle_of_a_file_is_part_of_its_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(bytes(5 << 20))
    before = fingerprint(tmp_path)
    with path.open("r+b") as file:
        file.seek(5 << 19)
        file.write(b"1")
    assert fingerprint(tmp_path) != before


def test_a_file_takes_the_place_of_another_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fill(error: BaseException) -> None:
        with replacing(path) as part:
            part.write_bytes(b"ne")
            raise error

    with pytest.raises(OSError, match=r"No space left on device: '.*/file'"):
        fill(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(KeyboardInterrupt):
        fill(KeyboardInterrupt())
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"old")]
    with replacing(path) as part:
        part.write_bytes(b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"new")]


def test_a_line_that_is_left_out_is_named_once_however_often_it_is_read(tmp_path: Path) -> None:
    (tmp_path / SAMPLES).write_bytes(b"damaged\n")
    store, remarks = EvalStore(tmp_path), list[str]()
    assert store.samples() == {}
    store.samples(notice=remarks.append)
    store.gather(notice=remarks.append)
    assert len(remarks) == 1
    assert "line 1 is left out" in remarks[0]


def test_a_file_of_an_evaluation_that_is_nested_deep_is_damaged(tmp_path: Path) -> None:
    deep, remarks = '{"new": ' + "[" * 99_999, []
    (tmp_path / SAMPLES).write_text(deep + "\n")
    assert EvalStore(tmp_path).samples(notice=remarks.append) == {}
    assert len(remarks) == 1
    (tmp_path / "settings.json").write_text(deep)
    with pytest.raises(ValueError, match="is not a settings file"):
        EvalStore(tmp_path).plan()


@pytest.mark.parametrize(
    ("samples", "seconds", "kept"), [(3, 1.5, 1), (0, 0.0, 1), (-1, 1.5, 0), (3, -0.5, 0), (3, "1e999", 0)]
)
def test_a_time_that_no_process_can_have_spent_is_left_out(
    tmp_path: Path, samples: int, seconds: float | str, kept: int
) -> None:
    store, remarks = EvalStore(tmp_path), []
    for name in ("sampling_seconds", "scoring_seconds"):
        other = "scoring_seconds" if name == "sampling_seconds" else "sampling_seconds"
        store.shards.time_shard(0).write_text(
            f'{{"start":"a","rank":0,"samples":{samples},"{name}":{seconds},"{other}":1,"device":"cpu"}}\n'
        )
        remarks.clear()
        store.shards.sift_times(remarks.append)
        assert (len(store.shards.spent()), len(remarks)) == (kept, 1 - kept)
