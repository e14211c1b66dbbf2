"""Who reads the samples of `eval`: the judge of their perplexity, and the model whose states MAUVE compares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from remdm_tui.commands.eval_arguments import JUDGE, OFFLINE_JUDGE, EvalArguments
from remdm_tui.commands.eval_sample import find_file
from remdm_tui.commands.progress import Reporter

if TYPE_CHECKING:
    from engine.evaluation.plan import Scoring
    from engine.evaluation.scoring import Readers
    from engine.evaluation.store import EvalStore
    from engine.metrics.judge import LanguageModel
    from engine.metrics.own_judge import DirectoryJudge
    from engine.system.ranks import Ranks

PRINTABLE = "The quick brown fox, 1893."
"""A text that any judge should read."""


class EvalJudges:
    """Keeps the last judge and featurizer that were loaded."""

    def __init__(self, arguments: EvalArguments, ranks: Ranks, reporter: Reporter) -> None:
        self._arguments, self._ranks, self._reporter = arguments, ranks, reporter
        self._name: str | None = None
        self._loaded: dict[tuple[str | None, str | None], Readers] = {}

    def default(self, store: EvalStore) -> str:
        """Return the judge that this directory has scores of, else the field's, else ours where that is not available.

        Every rank gets the answer of rank 0.
        """
        from engine.metrics.judges import SHORT
        from engine.models.sources import locate

        name = self._name
        if self._ranks.rank == 0:
            plan = store.plan()
            if plan is not None and plan.scoring.judge is not None:
                scoring = plan.scoring
                digest = scoring.judge_fingerprint if store.has_whole_digests else None
                name = find_file(store.home, plan.scoring.judge, scoring.judge_path, digest, "--judge")
        name = self._ranks.broadcast(name)
        if name is None and self._ranks.rank == 0:
            name = JUDGE
            try:
                locate(SHORT[JUDGE], self._reporter.loading)
            except ValueError as error:
                name = OFFLINE_JUDGE
                self._reporter.message(
                    f"{JUDGE} is not available: judged by {OFFLINE_JUDGE}; not comparable to published figures "
                    f"({error})"
                )
        self._name = self._ranks.broadcast(name)
        return self._name or OFFLINE_JUDGE

    def files(self, name: str) -> Path:
        """Return the files of a judge or featurizer, downloaded if necessary. Raises ValueError."""
        from engine.metrics.judges import SHORT
        from engine.metrics.own_judge import own_model
        from engine.models.catalogue import resolve
        from engine.models.sources import locate

        own = own_model(name)
        path = resolve(own) if own is not None else None
        if path is not None:
            return path
        return locate(name if Path(name).exists() else SHORT.get(name, name), self._reporter.loading)

    def load(self, scoring: Scoring) -> Readers:
        """Return the models that read the samples of a plan. Raises ValueError."""
        from engine.evaluation.scoring import Readers

        names = scoring.judge, scoring.featurizer
        if names not in self._loaded:
            self._loaded.clear()
            judge = self._load(scoring.judge, scoring.judge_dtype)
            is_same = scoring.featurizer is not None and scoring.featurizer == scoring.judge
            featurizer = judge if is_same else self._load(scoring.featurizer, scoring.judge_dtype)
            self._loaded[names] = Readers(judge, featurizer)
        return self._loaded[names]

    def _load(self, name: str | None, dtype: str) -> LanguageModel | DirectoryJudge | None:
        from engine.metrics.judges import load_judge

        if name is None:
            return None
        self._reporter.loading(f"loading {name}", 0, 0)
        judge = load_judge(name, self._ranks.device or self._arguments.judge_device or "auto", dtype)
        judge.tokens([PRINTABLE])
        return judge
