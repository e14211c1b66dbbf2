"""The model that `eval` samples, loaded once for all combinations that share it, and what identifies it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.records import ModelChoice
from remdm_tui.commands.progress import Reporter

if TYPE_CHECKING:
    from engine.evaluation.plan import PlannedModel
    from engine.models import TextModel


class EvalModel:
    """Keeps the last model that was loaded."""

    def __init__(self, device: str | None, reporter: Reporter) -> None:
        """device: where this process computes; None: where the choice of a model says."""
        self._device, self._reporter = device, reporter
        self._loaded: tuple[ModelChoice, TextModel, PlannedModel] | None = None

    def load(self, choice: ModelChoice) -> tuple[TextModel, PlannedModel]:
        """Return the model and the record that a plan has of it. Raises ValueError and OSError."""
        from engine.models import load_choice

        if self._loaded is not None and self._loaded[0] == choice:
            return self._loaded[1:]
        # two at once may be more than the device holds
        self._loaded = None
        model = load_choice(replace(choice, device=self._device) if self._device else choice, self._reporter.loading)
        self._loaded = choice, model, self._record(choice, model)
        return self._loaded[1:]

    def fingerprint(self, path: Path) -> str:
        """Return the digest of files, and show how far reading them is."""
        from engine.files.fingerprint import fingerprint

        return fingerprint(path, lambda done, total: self._reporter.loading("reading the model's files", done, total))

    def _record(self, choice: ModelChoice, model: TextModel) -> PlannedModel:
        from engine.evaluation.identity import files_digest, model_files
        from engine.evaluation.plan import PlannedModel
        from engine.models.catalogue import BUILT_IN, resolve
        from engine.models.tokenizer import tokenizer_source

        path = None if choice.name in BUILT_IN else resolve(choice.name)
        tokenizer_fingerprint = tokenizer_path = None
        if choice.tokenizer is not None:
            tokenizer = tokenizer_source(choice.tokenizer)
            tokenizer_fingerprint = self.fingerprint(tokenizer)
            tokenizer_path = str(tokenizer.resolve()) if Path(choice.tokenizer).expanduser().exists() else None
        elif model.loaded.borrowed_tokenizer is not None:
            tokenizer_fingerprint = files_digest([model.loaded.borrowed_tokenizer])
        return PlannedModel(
            name=choice.name, fingerprint=self.fingerprint(model_files(choice.name)),
            tokenizer_fingerprint=tokenizer_fingerprint, path=None if path is None else str(path.resolve()),
            tokenizer_path=tokenizer_path, dtype=model.info.dtype, kind=model.info.kind, ema=choice.ema,
            mask_id=choice.mask_id, tokenizer=choice.tokenizer, code_was_trusted=choice.trust_remote_code,
            code_digest=files_digest(model.loaded.code) if model.loaded.code else None,
        )  # fmt: skip
