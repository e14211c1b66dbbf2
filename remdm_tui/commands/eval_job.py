"""From what `eval` was asked for to an evaluation: the model, the judge, the references, and the plan they make."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.records import SAMPLING, ModelChoice
from engine.text import infill
from remdm_tui.commands.eval_progress import Shown
from remdm_tui.commands.eval_sample import found
from remdm_tui.settings import presets
from remdm_tui.settings.presets import Preset
from remdm_tui.settings.sweeps import Cell
from remdm_tui.settings.watch_options import WatchOptions, fitted

if TYPE_CHECKING:
    from engine.data.texts import Texts
    from engine.evaluation.plan import Model, Plan, Scoring
    from engine.evaluation.results import Results
    from engine.evaluation.scoring import Readers
    from engine.evaluation.store import Store
    from engine.metrics.judge import Featurizer, LanguageModel
    from engine.metrics.mauve import Features
    from engine.metrics.own_judge import DirectoryJudge
    from engine.models import TextModel
    from engine.system.ranks import Ranks

COUNT = 64
"""Samples where nobody says how many."""
JUDGE, OFFLINE_JUDGE, NOBODY = "gpt2-large", "demo-judge", "none"
PRINTABLE = "The quick brown fox, 1893."
"""A text that any judge should read."""


@dataclass(frozen=True)
class EvalArguments:
    """What `eval` was asked for besides the model and how it is sampled; None where nothing was said."""

    out: Path
    count: int | None = None
    predictor: str | None = None
    judge: str | None = None
    judge_device: str | None = None
    judge_dtype: str = "float32"
    features: str | None = None
    references: str | None = None
    references_split: str = "validation"
    references_count: int | None = None
    conventions: tuple[str, ...] = ("reference", "standard")
    reference_batch: int = 1
    sweep: tuple[str, ...] = ()
    devices: int | None = None
    nodes: int = 1
    rescore: bool = False
    quiet: bool = False
    as_json: bool = False


class EvalRunner:
    """The evaluations of one command; what several have in common is loaded once."""

    def __init__(self, wanted: EvalArguments, where: Ranks, shown: Shown) -> None:
        self.wanted, self.where, self.shown = wanted, where, shown
        self._start = where.share(uuid.uuid4().hex[:12])
        self._model: tuple[ModelChoice, TextModel, Model] | None = None
        self._read_by: dict[tuple[str | None, str | None], Readers] = {}
        self._judge_name: str | None = None
        self._texts: Texts | None = None
        self._referred: dict[tuple[str, int, int], Features] = {}
        self._rows: dict[tuple[str, int, int], tuple[list[str], str]] = {}
        """the references as rows of a model, and what is to be said of them; the last ones alone"""
        self._remark: str | None = None
        """how the references came about"""

    def home(self, cell: Cell) -> Path:
        """The directory of one combination."""
        return self.wanted.out / cell.name if cell.name else self.wanted.out

    def cell(self, cell: Cell) -> Results | None:
        """Evaluate one combination; its results on rank 0, None on others."""
        from engine.evaluation.results import read_results
        from engine.evaluation.run import Job
        from engine.evaluation.store import Store
        from engine.sampling.batch import usual_width

        store = Store(self.home(cell))
        with self._taken(store):
            preset = presets.read(cell.asked.preset) if cell.asked.preset else None
            self._check_references(preset, store)
            options = cell.asked.options()
            model, facts = self._loaded(options.model)
            plan = self._plan(preset, options, model, facts, store)
            self._settle(store, plan)
            if self.where.share(self._is_finished(store, plan, model)):
                return read_results(store.home) if self.where.rank == 0 else None
            job = Job(
                plan, store, self.where, model, width=cell.asked.batch or usual_width(model), start=self._start,
                readers=self._readers(plan.scoring), references=lambda who: self._references(who, plan, model),
                notice=self.shown.say, notes=[*filter(None, [self._remark, model.recovered])],
            )  # fmt: skip
            for standing in job.run():
                self.shown.stands(standing)
            return job.results

    @contextmanager
    def _taken(self, store: Store) -> Iterator[None]:
        """The directory is rank 0's; what it cannot have is an error on all."""
        trouble: Exception | None = None
        if self.where.rank == 0:
            try:
                store.take()
            except (ValueError, OSError) as error:
                trouble = error
        self._agree(trouble)
        try:
            yield
        finally:
            store.close()

    def _is_finished(self, store: Store, plan: Plan, model: TextModel) -> bool:
        """Return whether rank 0 finds nothing left to do."""
        from engine.evaluation.drawing import fault

        if self.where.rank != 0:
            return False
        prompt = model.prompt(plan.sampling.prompt, plan.sampling.chat, plan.sampling.infill)
        return store.is_finished(plan, lambda line: fault(model, plan, prompt, line), self.shown.say)

    def _settle(self, store: Store, plan: Plan) -> None:
        trouble: Exception | None = None
        if self.where.rank == 0:
            try:
                store.settle(plan, self.wanted.rescore, self.shown.say)
            except (ValueError, OSError) as error:
                trouble = error
        self._agree(trouble)

    def _agree(self, trouble: Exception | None) -> None:
        """Rank 0's trouble is everybody's."""
        trouble = self.where.share(trouble)
        if trouble is not None:
            raise trouble

    # -- the model

    def _loaded(self, choice: ModelChoice) -> tuple[TextModel, Model]:
        from engine.evaluation.identity import files_digest, model_files
        from engine.evaluation.plan import Model
        from engine.files.fingerprint import fingerprint
        from engine.models import load_choice
        from engine.models.catalogue import BUILT_IN, place
        from engine.models.tokenizer import tokenizer_place

        if self._model is not None and self._model[0] == choice:
            return self._model[1:]
        # two at once may be more than the device holds
        self._model = None
        asked = replace(choice, device=self.where.device) if self.where.device else choice
        model = load_choice(asked, self.shown.loading)
        given = place(choice.name)
        here = None if choice.name in BUILT_IN or given is None else str(given.resolve())
        spelt, spelt_at = None, None
        if choice.tokenizer is not None:
            its = tokenizer_place(choice.tokenizer)
            spelt = fingerprint(its, self._reading)
            spelt_at = str(its.resolve()) if Path(choice.tokenizer).expanduser().exists() else None
        elif model.loaded.borrowed_tokenizer is not None:
            spelt = files_digest([model.loaded.borrowed_tokenizer])
        facts = Model(
            name=choice.name, fingerprint=fingerprint(model_files(choice.name), self._reading),
            tokenizer_fingerprint=spelt, path=here, tokenizer_path=spelt_at, dtype=model.info.dtype,
            kind=model.info.kind, ema=choice.ema, mask_id=choice.mask_id, tokenizer=choice.tokenizer,
            code_was_trusted=choice.trust_remote_code,
            code_digest=files_digest(model.loaded.code) if model.loaded.code else None,
        )  # fmt: skip
        self._model = choice, model, facts
        return model, facts

    def _reading(self, done: int, total: int) -> None:
        self.shown.loading("reading the model's files", done, total)

    def _fingerprint_of(self, judge: str | None) -> str | None:
        """Return the fingerprint of a judge or featurizer, which is fetched first where it must be."""
        from engine.files.fingerprint import fingerprint
        from engine.metrics.judges import SHORT
        from engine.metrics.own_judge import own_model
        from engine.models.catalogue import place
        from engine.models.sources import locate

        if judge is None:
            return None
        own = own_model(judge)
        home = place(own) if own is not None else None
        if home is None:
            home = locate(judge if Path(judge).exists() else SHORT.get(judge, judge), self.shown.loading)
        return fingerprint(home, self._reading)

    def _plan(self, preset: Preset | None, options: WatchOptions, model: TextModel, facts: Model, store: Store) -> Plan:
        from engine.evaluation import drawing
        from engine.evaluation.plan import BETWEEN_STARTS, ENGINE, Plan, Sampling
        from engine.strategies import catalogue, source_digest

        wanted = self.wanted
        predictor = wanted.predictor or getattr(preset, "predictor", None) or ENGINE
        if predictor not in (ENGINE, BETWEEN_STARTS) and "strategy" not in options.said:
            options = replace(options, settings=replace(options.settings, strategy="mdlm", knobs={}))
        settings, run = fitted(options, model.info, catalogue())
        prompt = model.prompt(run.prompt, run.chat, run.infill)
        stays = infill.fixed(prompt, model.mask_id)
        around = 2 * (predictor == BETWEEN_STARTS)
        sampling = Sampling(
            strategy=settings.strategy, knobs=dict(settings.knobs), steps=run.steps_after(sum(stays) + around),
            length=run.length, seed=run.seed, count=wanted.count or getattr(preset, "count", None) or COUNT,
            prompt=run.prompt, chat=run.chat, block_length=run.block_length, stride=run.stride, strides=run.strides,
            predictor=predictor, infill=not all(stays), strategy_digest=source_digest(settings.strategy),
            **{info.name: getattr(settings, info.name) for info in SAMPLING},
        )  # fmt: skip
        drawing.check(model, sampling, prompt)
        plan = Plan(facts, sampling, self._scoring(wanted, preset, store))
        self._check_size(plan, model)
        return plan

    def _scoring(self, wanted: EvalArguments, preset: Preset | None, store: Store) -> Scoring:
        import msgspec

        from engine.evaluation.plan import Scoring
        from engine.metrics.conventions import conventions

        for how in wanted.conventions:
            conventions(how)
        named = wanted.judge or getattr(preset, "judge", None)
        judge = None if named == NOBODY else named or self._usual_judge(store)
        scoring = Scoring(
            conventions=tuple(dict.fromkeys(wanted.conventions)), judge=judge, judge_dtype=wanted.judge_dtype,
            judge_fingerprint=self._fingerprint_of(judge), judge_path=_absolute(judge), features=wanted.features,
            features_path=_absolute(wanted.features),
            features_fingerprint=self._fingerprint_of(wanted.features), references=self._source(preset),
            references_digest=None if self._texts is None else self._texts.digest,
            references_split=wanted.references_split, references_count=wanted.references_count,
            together=wanted.reference_batch,
        )  # fmt: skip
        if judge is not None or scoring.references is not None:
            digests = {how: conventions(how).digest(likelihood=False) for how in scoring.conventions}
            scoring = msgspec.structs.replace(scoring, decisions=digests)
        if scoring.references is not None and scoring.featurizer is None:
            raise ValueError("MAUVE takes features of somebody: name a --judge or --features")
        return scoring

    def _usual_judge(self, store: Store) -> str:
        """The one that this directory was begun with, else the field's, else ours where that cannot be had."""
        from engine.metrics.judges import SHORT
        from engine.models.sources import locate

        name = self._judge_name
        if self.where.rank == 0:
            was = store.plan()
            if was is not None and was.scoring.judge is not None:
                scoring = was.scoring
                digest = scoring.judge_fingerprint if store.has_whole_digests else None
                name = found(store.home, was.scoring.judge, scoring.judge_path, digest, "--judge")
        name = self.where.share(name)
        if name is None and self.where.rank == 0:
            name = JUDGE
            try:
                locate(SHORT[JUDGE], self.shown.loading)
            except ValueError as error:
                name = OFFLINE_JUDGE
                self.shown.say(f"judged by {OFFLINE_JUDGE}, whose figures compare with nothing published: {error}")
        self._judge_name = self.where.share(name)
        return self._judge_name or OFFLINE_JUDGE

    # -- who reads the samples

    def _readers(self, scoring: Scoring) -> Readers:
        from engine.evaluation.scoring import Readers

        names = scoring.judge, scoring.featurizer
        if names not in self._read_by:
            self._read_by.clear()
            judge = self._judge(scoring.judge, scoring.judge_dtype)
            same = scoring.featurizer == scoring.judge
            featurizer = judge if same and scoring.featurizer else self._judge(scoring.featurizer, scoring.judge_dtype)
            self._read_by[names] = Readers(judge, featurizer)
        return self._read_by[names]

    def _judge(self, name: str | None, dtype: str) -> LanguageModel | DirectoryJudge | None:
        from engine.metrics.judges import load_judge

        if name is None:
            return None
        self.shown.loading(f"loading {name}", 0, 0)
        judge = load_judge(name, self.where.device or self.wanted.judge_device or "auto", dtype)
        judge.tokens([PRINTABLE])
        return judge

    # -- what they are compared with

    def _source(self, preset: Preset | None) -> str | None:
        """Of the references."""
        named = self.wanted.references or getattr(preset, "references", None)
        return None if named == NOBODY else named

    def _check_references(self, preset: Preset | None, store: Store) -> None:
        """Raise what is wrong with the references before anything is loaded for them."""
        source = self._source(preset)
        if source is None or self._texts is not None:
            return
        from engine.data.catalogue import DATASETS
        from engine.data.texts import load
        from engine.metrics.mauve import check_installed

        check_installed()
        was = None if source in DATASETS or Path(source).expanduser().exists() else store.plan()
        if was is not None and was.scoring.references == source:
            # of an evaluation that was moved; what they say is compared with the plan's digest
            source = found(store.home, source, str(Path(source).expanduser().absolute()), None, "--references")
        self._texts = load(source, self.wanted.references_split, notice=self.shown.say)

    def _check_size(self, plan: Plan, model: TextModel) -> None:
        from engine.metrics.mauve import check_size, warning

        if plan.scoring.references is None:
            return
        have = len(self._reference_texts(plan, model))
        remark = warning(check_size(plan.sampling.count, have))
        if remark:
            self.shown.say(remark)

    def _reference_texts(self, plan: Plan, model: TextModel) -> list[str]:
        """Rows as long as the samples, cut out of the references as the model's own training rows are."""
        from engine.data.texts import unique
        from engine.evaluation.model_rows import rows_of_model

        assert self._texts is not None
        count = plan.scoring.references_count or plan.sampling.count
        length = min(plan.sampling.tokens, model.max_length or plan.sampling.tokens)
        key = plan.model.fingerprint, length, count
        if key not in self._rows:
            rows = rows_of_model(model, self._texts, length=length, most=count)
            found = unique([model.codec.decode(row.tolist()) for row in rows.tokens], count)
            remark = f"MAUVE's references, {len(found):,} different ones: {rows.said}"
            self._rows = {key: (found, remark)}
        found, self._remark = self._rows[key]
        return found

    def _references(self, featurizer: Featurizer, plan: Plan, model: TextModel) -> Features:
        from engine.metrics.mauve import features

        texts = self._reference_texts(plan, model)
        key = featurizer.name, plan.sampling.tokens, len(texts)
        if key not in self._referred:
            self._referred.clear()
            self._referred[key] = features(featurizer, texts, plan.scoring.conventions[0])
        return self._referred[key]


def _absolute(name: str | None) -> str | None:
    """Return where a file or directory of this name lies; None for what is no place on this machine."""
    path = None if name is None else Path(name).expanduser()
    return str(path.resolve()) if path is not None and path.exists() else None
