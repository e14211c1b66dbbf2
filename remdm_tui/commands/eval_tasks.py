"""`eval --tasks`: answer the items of tasks by one combination of a sampler, in a directory of its own."""

from __future__ import annotations

import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.table import Table
from rich.text import Text

from engine.records import SHARED_KNOBS
from engine.system.ranks import on_first
from engine.text.counts import counted
from remdm_tui.commands.eval_arguments import EvalArguments, TaskArguments
from remdm_tui.commands.eval_job import head_digest
from remdm_tui.commands.eval_model import EvalModel
from remdm_tui.commands.eval_results import interval_text, strategy_line
from remdm_tui.commands.progress import Reporter, Status
from remdm_tui.console.output import print_json
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import sanitize
from remdm_tui.settings.run_arguments import at_least_one
from remdm_tui.settings.sweeps import Combination
from remdm_tui.settings.watch_options import WatchOptions, fit_to_model

if TYPE_CHECKING:
    from engine.evaluation.plan import PlannedModel, Sampling
    from engine.models import TextModel
    from engine.system.ranks import Ranks
    from engine.tasks.asking import TaskProgress
    from engine.tasks.code import CodeRunner
    from engine.tasks.plan import TaskPlan
    from engine.tasks.results import Difference, ScoreLine, TaskFigure, TaskResults
    from engine.tasks.store import TaskStore

REFUSED = {"count": "--count", "predictor": "--predictor", "judge": "--judge", "features": "--features",
           "references": "--references"}  # fmt: skip
"""Options of samples that tasks do not have."""
LISTED = 10
"""Documents that a line names."""


def check(arguments: EvalArguments) -> TaskArguments:
    """Return the tasks of the command.  Raises ValueError for options that tasks do not have."""
    tasks = arguments.tasks
    assert tasks is not None
    for name, option in REFUSED.items():
        if getattr(arguments, name) is not None:
            raise ValueError(f"{option} is about samples: leave it out with --tasks")
    if not tasks.names:
        raise ValueError("--tasks needs the name of a task, or its YAML file")
    for name in ("limit", "draws"):
        value = getattr(tasks, name)
        if value is not None:
            at_least_one(name, value)
    if tasks.num_fewshot is not None and tasks.num_fewshot < 0:
        raise ValueError(f"num_fewshot must be at least 0, not {tasks.num_fewshot}")
    return tasks


class AnswerRunner(ABC):
    """The evaluations of one command whose model answers items; what several have in common is loaded once."""

    def __init__(self, arguments: EvalArguments, ranks: Ranks, reporter: Reporter) -> None:
        self._arguments, self._ranks, self._reporter = arguments, ranks, reporter
        self._settings = check(arguments)
        self._start = ranks.broadcast(uuid.uuid4().hex[:12])
        self._model = EvalModel(ranks.device, reporter)
        self._code: dict[str, CodeRunner] = {}
        """what runs code that the model has written, by task"""

    @abstractmethod
    def plan(self, options: WatchOptions, model: TextModel, record: PlannedModel) -> TaskPlan:
        """Return what decides the answers.  Raises ValueError for settings that answers do not have."""

    @abstractmethod
    def answer(self, plan: TaskPlan, store: TaskStore, model: TextModel, width: int) -> TaskResults | None:
        """Have all items answered; return the results on rank 0, None on others."""

    def home(self, combination: Combination) -> Path:
        """Return the directory of one combination."""
        return self._arguments.out / combination.name if combination.name else self._arguments.out

    def evaluate(self, combination: Combination) -> TaskResults | None:
        """Answer all items of one combination; return its results on rank 0, None on others.

        Raises ValueError and OSError.
        """
        from engine.sampling.batch import usual_width
        from engine.tasks.plan import settle
        from engine.tasks.store import TaskStore

        store = TaskStore(self.home(combination))
        with self._locked(store):
            options = combination.arguments.options()
            model, record = self._model.load(options.model)
            plan = self.plan(options, model, record)
            on_first(self._ranks, lambda: settle(store.home, plan))
            return self.answer(plan, store, model, combination.arguments.batch or usual_width(model))

    def show_progress(self, progress: TaskProgress) -> None:
        """Show how far the items are answered."""
        self._reporter.progress(answering_status(progress))

    def print(self, results: TaskResults, home: Path) -> bool:
        """Print results on standard output; return whether an item has no answer."""
        if self._arguments.as_json:
            print_json(msgspec.json.encode(results).decode())
        else:
            print_task_results(results, home, self.table(results.figures))
        return bool(results.problems)

    def table(self, figures: Sequence[TaskFigure]) -> Table:
        """Return every figure as it is printed."""
        return figures_table(figures)

    def is_compared(self, metric: str) -> bool:
        """Return whether the evaluations of a sweep are compared by a metric."""
        return True

    def conclude(self, homes: Sequence[Path]) -> None:
        """Print what each evaluation of a sweep has more than the first."""
        if not self._arguments.as_json:
            print_differences(homes, self.is_compared)

    @contextmanager
    def _locked(self, store: TaskStore) -> Iterator[None]:
        """Lock the directory for rank 0 and everybody that works with it."""
        on_first(self._ranks, store.take)
        try:
            yield
        finally:
            store.close()
            for code in self._code.values():
                code.close()


class TaskRunner(AnswerRunner):
    """The evaluations of one command on tasks of lm-evaluation-harness."""

    def __init__(self, arguments: EvalArguments, ranks: Ranks, reporter: Reporter, *, trusted: bool) -> None:
        """trusted: whether this command line has consented to run code that the tasks name."""
        # read when tqdm is imported: the harness' own bars would cross the reporter's
        os.environ.setdefault("TQDM_DISABLE", "1")
        from engine.tasks.code import CodeRunner, run_elsewhere
        from engine.tasks.loading import load_tasks, runs_model_code

        super().__init__(arguments, ranks, reporter)
        chosen = self._settings
        with reporter.waiting("reading the tasks"):
            self._tasks = load_tasks(chosen.names, chosen.num_fewshot, trusted, chosen.runs_code)
        self._code = {
            name: CodeRunner(chosen.names, name, chosen.num_fewshot, trusted)
            for name, task in self._tasks.items()
            if runs_model_code(task)
        }
        for name, code in self._code.items():
            run_elsewhere(self._tasks[name], code)

    def plan(self, options: WatchOptions, model: TextModel, record: PlannedModel) -> TaskPlan:
        from engine.metrics.continuation import DRAWS
        from engine.tasks.loading import data_digest, harness_version, source, task_digest
        from engine.tasks.plan import TaskPlan, TaskSettings

        if options.chat and model.loaded.chat is None:
            raise ValueError(f"{model.name} has no chat template: leave out --chat")
        chosen = self._settings
        settings = TaskSettings(
            names=tuple(self._tasks), sources=tuple(map(source, chosen.names)),
            digests={name: task_digest(task) for name, task in self._tasks.items()},
            data={name: data_digest(task) for name, task in self._tasks.items()},
            harness=harness_version(), draws=chosen.draws or DRAWS, num_fewshot=chosen.num_fewshot,
            chat=options.chat, multiturn=chosen.multiturn, system_prompt=chosen.system_prompt, limit=chosen.limit,
        )  # fmt: skip
        return TaskPlan(record, sampling_of(options, model), settings)

    def answer(self, plan: TaskPlan, store: TaskStore, model: TextModel, width: int) -> TaskResults | None:
        from engine.tasks.run import TaskJob

        message = self._reporter.message
        return TaskJob(
            plan, store, self._ranks, model, width, self._start, message, self.show_progress, tasks=self._tasks
        ).run()


def sampling_of(options: WatchOptions, model: TextModel) -> Sampling:
    """Return how an answer is drawn.  Raises ValueError for what answers do not have."""
    from engine.evaluation.plan import Sampling
    from engine.strategies import catalogue, knob_files_digest, source_digest

    if options.prompt or options.stride:
        raise ValueError("tasks bring their own prompts, and answers do not slide: leave out --prompt and --semi-ar")
    settings, run = fit_to_model(options, model.info, catalogue())
    return Sampling(
        strategy=settings.strategy, knobs=dict(settings.knobs), steps=run.steps_after(0), length=run.length,
        seed=run.seed, count=1, block_length=run.block_length, strategy_digest=source_digest(settings.strategy),
        quality_digest=head_digest(model, settings),
        files_digest=knob_files_digest(settings.strategy, settings.knobs),
        **{info.name: getattr(settings, info.name) for info in SHARED_KNOBS},
    )  # fmt: skip


def answering_status(progress: TaskProgress) -> Status:
    """Return the progress with the figures so far."""
    figures = []
    if progress.judged:
        figures.append(f"{progress.right / progress.judged:.1%} right")
    if progress.done:
        figures.append(f"{progress.network_calls / progress.done:,.1f} calls an item")
    if progress.network_calls:
        figures.append(f"{progress.tokens / progress.network_calls:.2f} tokens a call")
    return Status("answering", progress.done, progress.total, figures=", ".join(figures))


def figures_table(figures: Sequence[TaskFigure]) -> Table:
    """Return a row for each figure."""
    table = Table("task", "filter", "metric", "value", box=None, pad_edge=False)
    for one in figures:
        cells = one.task, one.filter, one.metric, interval_text(one.figure, 3)
        table.add_row(*(Text(sanitize(cell)) for cell in cells))
    return table


def print_task_results(results: TaskResults, home: Path, table: Table) -> None:
    """Print the results in the directory `home`, with a table of their figures."""
    console = SafeConsole(highlight=False)
    say: Callable[[str], None] = lambda text: console.print(sanitize(text), markup=False, soft_wrap=True)  # noqa: E731
    sampling = results.settings["sampling"]
    say(
        f"{results.settings['model']['name']}, {strategy_line(sampling)}, T = {sampling['steps']:,}, "
        f"answers of {sampling['length']:,} tokens, N = {results.items:,}, seed {sampling['seed']}"
    )
    console.print(table)
    line = f"{results.network_calls.value:,.1f} network calls an item"
    time = results.timing
    if results.seconds:
        line += f", {time.seconds_per_sequence:.3g} s an item, {time.tokens_per_second:,.0f} tokens/s"
    if results.tokens_per_call is not None:
        line += f", {results.tokens_per_call.value:.2f} tokens a call, {results.length.value:,.1f} tokens an answer"
    if results.entropy is not None and results.ends is not None:
        line += f", entropy {results.entropy.value:.2f}, {results.ends.value:.1%} end of text"
    say(line)
    if results.right is not None and results.ever_right is not None:
        say(
            f"right at the end {interval_text(results.right, 3)}, ever right {interval_text(results.ever_right, 3)}: "
            f"{counted(len(results.overwritten), 'right answer', form=',')} overwritten"
        )
    for note in results.notes:
        say(f"note: {note}")
    say(f"{home}: items.jsonl, scores.jsonl, results.json (every setting)")


def print_differences(homes: Sequence[Path], is_compared: Callable[[str], bool]) -> None:
    """Print what every evaluation of a sweep has more than the first, on the same documents."""
    from engine.tasks.results import differences, read_scores

    first: list[ScoreLine] = read_scores(homes[0])
    console = SafeConsole(highlight=False)
    for home in homes[1:]:
        for one in differences(first, read_scores(home)):
            if is_compared(one.metric):
                console.print(sanitize(_difference_line(homes[0], home, one)), markup=False, soft_wrap=True)


def _difference_line(first: Path, second: Path, one: Difference) -> str:
    alone = "; ".join(
        f"{name} alone: {', '.join(map(str, docs[:LISTED]))}{' ...' if len(docs) > LISTED else ''}"
        for name, docs in ((first.name, one.only_first), (second.name, one.only_second))
        if docs
    )
    line = f"{second.name} - {first.name}: {one.task}, {one.filter}, {one.metric} {interval_text(one.figure, 3)}"
    return f"{line} ({alone})" if alone else line
