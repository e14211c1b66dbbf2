"""The texts that MAUVE compares the samples of `eval` with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from remdm_tui.commands.eval_arguments import NONE, EvalArguments
from remdm_tui.commands.eval_sample import find_file
from remdm_tui.commands.progress import Reporter
from remdm_tui.settings.presets import Preset

if TYPE_CHECKING:
    from engine.data.texts import Texts
    from engine.evaluation.plan import EvalPlan
    from engine.evaluation.store import EvalStore
    from engine.metrics.judge import Featurizer
    from engine.metrics.mauve import Features
    from engine.models import TextModel


class EvalReferences:
    """Keeps the texts of one command, and the last rows and features that were made of them."""

    def __init__(self, arguments: EvalArguments, reporter: Reporter) -> None:
        self._arguments, self._reporter = arguments, reporter
        self._texts: Texts | None = None
        self._rows: dict[tuple[str, int, int], tuple[list[str], str]] = {}
        """by model, length and count: the texts, and a sentence on how they were cut"""
        self._features: dict[tuple[str, int, int], Features] = {}
        self.note: str | None = None
        """how the references were cut"""

    def source(self, preset: Preset | None) -> str | None:
        """Return the file, directory or data set, or None for no references."""
        name = self._arguments.references or getattr(preset, "references", None)
        return None if name == NONE else name

    @property
    def digest(self) -> str | None:
        """Return the digest of the texts, or None if none are read."""
        return None if self._texts is None else self._texts.digest

    def read(self, preset: Preset | None, store: EvalStore) -> None:
        """Read the texts, if there are any to read. Raises ValueError, and ModuleNotFoundError without MAUVE."""
        source = self.source(preset)
        if source is None or self._texts is not None:
            return
        from engine.data.catalogue import DATASETS
        from engine.data.texts import load_texts
        from engine.metrics.mauve import check_installed

        check_installed()
        plan = None if source in DATASETS or Path(source).expanduser().exists() else store.plan()
        if plan is not None and plan.scoring.references == source:
            # the evaluation was moved; the content is compared with the plan's digest later
            source = find_file(store.home, source, str(Path(source).expanduser().absolute()), None, "--references")
        self._texts = load_texts(source, self._arguments.references_split, notice=self._reporter.message)

    def check_size(self, plan: EvalPlan, model: TextModel) -> None:
        """Warn where there are few samples or references. Raises ValueError where there are too few for MAUVE."""
        from engine.metrics.mauve import check_counts, warning

        if plan.scoring.references is None:
            return
        note = warning(check_counts(plan.sampling.count, len(self._rows_of(plan, model))))
        if note:
            self._reporter.message(note)

    def features(self, featurizer: Featurizer, plan: EvalPlan, model: TextModel) -> Features:
        """Return the features of rows as long as the samples."""
        from engine.metrics.mauve import features

        texts = self._rows_of(plan, model)
        key = featurizer.name, plan.sampling.tokens, len(texts)
        if key not in self._features:
            self._features.clear()
            self._features[key] = features(featurizer, texts, plan.scoring.conventions[0])
        return self._features[key]

    def _rows_of(self, plan: EvalPlan, model: TextModel) -> list[str]:
        """Return rows as long as the samples, cut from the texts as the model's own training rows are."""
        from engine.data.texts import unique
        from engine.evaluation.model_rows import model_rows

        assert self._texts is not None
        count = plan.scoring.references_count or plan.sampling.count
        length = min(plan.sampling.tokens, model.max_length or plan.sampling.tokens)
        key = plan.model.fingerprint, length, count
        if key not in self._rows:
            rows = model_rows(model, self._texts, length=length, most=count)
            texts = unique([model.codec.decode(row.tolist()) for row in rows.tokens], count)
            self._rows = {key: (texts, f"MAUVE's references, {len(texts):,} different ones: {rows.description}")}
        texts, self.note = self._rows[key]
        return texts
