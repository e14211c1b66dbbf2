"""One combination of `eval`: its plan, its directory, and the engine's job that fills it."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.records import SHARED_KNOBS, Settings
from engine.system.ranks import on_first
from engine.text import infill
from remdm_tui.commands.eval_arguments import COUNT, NONE, EvalArguments
from remdm_tui.commands.eval_judges import EvalJudges
from remdm_tui.commands.eval_model import EvalModel
from remdm_tui.commands.eval_references import EvalReferences
from remdm_tui.commands.eval_results import print_results
from remdm_tui.commands.progress import Reporter, Status
from remdm_tui.console.output import print_note
from remdm_tui.console.sanitize import sanitize
from remdm_tui.settings import presets
from remdm_tui.settings.presets import Preset
from remdm_tui.settings.sweeps import Combination
from remdm_tui.settings.watch_options import WatchOptions, fit_to_model

if TYPE_CHECKING:
    from engine.evaluation.plan import EvalPlan, PlannedModel, Scoring
    from engine.evaluation.results import Results
    from engine.evaluation.run import EvalProgress
    from engine.evaluation.store import EvalStore
    from engine.models import TextModel
    from engine.system.ranks import Ranks


def head_digest(model: TextModel, settings: Settings) -> str | None:
    """Return the digest of the trained head that the strategy reads; None if it reads none."""
    from engine.strategies import make_strategy, reads_of

    reads = reads_of(make_strategy(settings.strategy, **settings.knobs))
    return model.loaded.quality_digest if "quality" in reads else None


class EvalRunner:
    """The evaluations of one command; what several have in common is loaded once."""

    def __init__(self, arguments: EvalArguments, ranks: Ranks, reporter: Reporter) -> None:
        self._arguments, self._ranks, self._reporter = arguments, ranks, reporter
        self._start = ranks.broadcast(uuid.uuid4().hex[:12])
        self._model = EvalModel(ranks.device, reporter)
        self._judges = EvalJudges(arguments, ranks, reporter)
        self._references = EvalReferences(arguments, reporter)

    def home(self, combination: Combination) -> Path:
        """Return the directory of one combination."""
        return self._arguments.out / combination.name if combination.name else self._arguments.out

    def positions(self, options: WatchOptions) -> int | None:
        """Return the longest canvas of the model of some options; None for any."""
        return self._model.load(options.model)[0].max_length

    def evaluate(self, combination: Combination) -> Results | None:
        """Evaluate one combination; return its results on rank 0, None on others. Raises ValueError and OSError."""
        from engine.evaluation.results import read_results
        from engine.evaluation.run import EvalJob
        from engine.evaluation.store import EvalStore
        from engine.sampling.batch import usual_width

        store = EvalStore(self.home(combination))
        with self._locked(store):
            preset = presets.read_preset(combination.arguments.preset) if combination.arguments.preset else None
            self._references.read(preset, store)
            options = combination.arguments.options()
            model, record = self._model.load(options.model)
            plan = self._plan(preset, options, model, record, store)
            on_first(self._ranks, lambda: store.settle(plan, self._arguments.rescore, self._reporter.message))
            if self._ranks.broadcast(self._is_finished(store, plan, model)):
                return read_results(store.home) if self._ranks.rank == 0 else None
            job = EvalJob(
                plan, store, self._ranks, model,
                width=combination.arguments.batch or usual_width(model), start=self._start,
                readers=self._judges.load(plan.scoring), notice=self._reporter.message,
                references=lambda featurizer: self._references.features(featurizer, plan, model),
                notes=[*filter(None, [self._references.note, model.recovered])],
            )  # fmt: skip
            for progress in job.run():
                self._reporter.progress(sampling_status(progress))
            return job.results

    def print(self, results: Results, home: Path) -> bool:
        """Print results on standard output; return whether a sample has failed."""
        print_results(results, home, as_json=self._arguments.as_json)
        return bool(results.failed)

    def conclude(self, homes: Sequence[Path]) -> None:
        """Say in one line on standard error what `lint` finds in the results, if anything."""
        from engine.lint import note
        from remdm_tui.reports.lint import lint_evaluations

        found = note(lint_evaluations(homes)[0])
        if found:
            print_note(sanitize(f"{found} (remdm-tui lint {self._arguments.out})"))

    @contextmanager
    def _locked(self, store: EvalStore) -> Iterator[None]:
        """Lock the directory for rank 0 and everybody that works with it."""
        on_first(self._ranks, store.take)
        try:
            yield
        finally:
            store.close()

    def _is_finished(self, store: EvalStore, plan: EvalPlan, model: TextModel) -> bool:
        """Return whether rank 0 finds nothing left to do; False on other ranks."""
        from engine.evaluation.drawing import sample_fault

        if self._ranks.rank != 0:
            return False
        prompt = model.prompt(plan.sampling.prompt, plan.sampling.chat, plan.sampling.infill)
        return store.is_finished(plan, lambda line: sample_fault(model, plan, prompt, line), self._reporter.message)

    def _plan(
        self, preset: Preset | None, options: WatchOptions, model: TextModel, record: PlannedModel, store: EvalStore
    ) -> EvalPlan:
        from engine.evaluation import drawing
        from engine.evaluation.plan import BETWEEN_STARTS, ENGINE, OVER_SIMPLEX, EvalPlan, Sampling
        from engine.strategies import catalogue, knob_files_digest, make_strategy, source_digest, values

        predictor = self._arguments.predictor or getattr(preset, "predictor", None) or ENGINE
        if predictor not in (ENGINE, BETWEEN_STARTS) and "strategy" not in options.explicit:
            name = OVER_SIMPLEX if predictor == OVER_SIMPLEX else "mdlm"
            knobs = values(make_strategy(name))
            options = replace(options, settings=replace(options.settings, strategy=name, knobs=knobs))
        settings, run = fit_to_model(options, model.info, catalogue())
        prompt = model.prompt(run.prompt, run.chat, run.infill)
        fixed = infill.fixed(prompt, model.mask_id)
        # the text of this predictor is enclosed by two start tokens
        around = 2 * (predictor == BETWEEN_STARTS)
        sampling = Sampling(
            strategy=settings.strategy, knobs=dict(settings.knobs), steps=run.steps_after(sum(fixed) + around),
            length=run.length, seed=run.seed, count=self._arguments.count or getattr(preset, "count", None) or COUNT,
            prompt=run.prompt, chat=run.chat, block_length=run.block_length, stride=run.stride, strides=run.strides,
            predictor=predictor, infill=not all(fixed), strategy_digest=source_digest(settings.strategy),
            quality_digest=head_digest(model, settings),
            files_digest=knob_files_digest(settings.strategy, settings.knobs),
            **{info.name: getattr(settings, info.name) for info in SHARED_KNOBS},
        )  # fmt: skip
        drawing.check_plan(model, sampling, prompt)
        plan = EvalPlan(record, sampling, self._scoring(preset, store))
        self._references.check_size(plan, model)
        return plan

    def _scoring(self, preset: Preset | None, store: EvalStore) -> Scoring:
        import msgspec

        from engine.evaluation.plan import Scoring
        from engine.metrics.conventions import conventions

        arguments = self._arguments
        for name in arguments.conventions:
            conventions(name)
        named = arguments.judge or getattr(preset, "judge", None)
        judge = None if named == NONE else named or self._judges.default(store)
        scoring = Scoring(
            conventions=tuple(dict.fromkeys(arguments.conventions)), judge=judge, judge_dtype=arguments.judge_dtype,
            judge_fingerprint=self._fingerprint(judge), judge_path=_absolute(judge), features=arguments.features,
            features_path=_absolute(arguments.features), features_fingerprint=self._fingerprint(arguments.features),
            references=self._references.source(preset), references_digest=self._references.digest,
            references_split=arguments.references_split, references_count=arguments.references_count,
            together=arguments.reference_batch,
        )  # fmt: skip
        if judge is not None or scoring.references is not None:
            digests = {name: conventions(name).digest(likelihood=False) for name in scoring.conventions}
            scoring = msgspec.structs.replace(scoring, decisions=digests)
        if scoring.references is not None and scoring.featurizer is None:
            raise ValueError("MAUVE needs a model's features: name a --judge or --features")
        return scoring

    def _fingerprint(self, judge: str | None) -> str | None:
        """Return the digest of the files of a judge or featurizer."""
        return None if judge is None else self._model.fingerprint(self._judges.files(judge))


def sampling_status(progress: EvalProgress) -> Status:
    """Return the engine's progress with the running figures in words, gen PPL never without entropy."""
    figures = []
    if progress.tokens_per_second:
        figures.append(f"{progress.tokens_per_second:,.0f} tokens/s")
        figures.append(f"{progress.saved:.0%} of calls saved")
    if not math.isnan(progress.gen_ppl):
        figures.append(f"gen PPL {progress.gen_ppl:.1f}")
    if not math.isnan(progress.entropy):
        figures.append(f"entropy {progress.entropy:.2f}")
    return Status(progress.stage, progress.done, progress.total, figures=", ".join(figures))


def _absolute(name: str | None) -> str | None:
    """Return the absolute path of a file or directory; None for a name that is not a path on this machine."""
    path = None if name is None else Path(name).expanduser()
    return str(path.resolve()) if path is not None and path.exists() else None
