"""A sample of an evaluation as a run to watch, and where the files of an evaluation are now."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import msgspec

from engine.evaluation.plan import ENGINE, OVER_SIMPLEX, PlannedModel, Sampling
from engine.evaluation.settings_file import SETTINGS
from engine.evaluation.store import EvalStore
from engine.files.digests import file_digest
from engine.files.fingerprint import fingerprint
from engine.files.regular import regular_file
from engine.files.run_layout import NEWEST, QUALITY
from engine.models.catalogue import resolve
from engine.records import SHARED_KNOBS
from engine.sampling.blocks import plan_blocks
from engine.strategies import knob_files_digest, source_digest
from engine.text import infill
from remdm_tui.settings.run_arguments import RunArguments

HIGHEST = 5
"""How many directories up a moved file is looked for: `results/sweep/strategy=mdlm` lies three below its project."""
LONGEST_TAIL = 5
"""How many of the last parts of its old path are kept there."""


def arguments_of_sample(home: Path, number: int, given: RunArguments) -> RunArguments:
    """Return the arguments of `watch` for sample `number` of the evaluation in `home`; given ones win.

    Consent to run the model's own code is taken from `given`, never from the directory.  Raises ValueError.
    """
    store = EvalStore(home)
    plan = store.plan()
    if plan is None:
        raise ValueError(f"{home} is not an evaluation: it has no {SETTINGS}")
    sampling = plan.sampling
    if not 0 <= number < sampling.count:
        raise ValueError(f"{home} has the samples 0 to {sampling.count - 1}, not {number}")
    if sampling.predictor == OVER_SIMPLEX and not sampling.prompt:
        # a run shares its steps out over the blocks of the first window, each of which has all of them here
        blocks = plan_blocks(sampling.length, sampling.length, 0, sampling.block_length)
        sampling = msgspec.structs.replace(sampling, predictor=ENGINE, steps=sampling.steps * len(blocks))
    if sampling.predictor != ENGINE:
        raise ValueError(f"the samples of {home} were drawn by {sampling.predictor}, which cannot be watched")
    base = RunArguments(
        length=sampling.length, chat=sampling.chat, stride=sampling.stride, strides=sampling.strides or None,
        first=number,
    )  # fmt: skip
    if sampling.prompt:
        literal = not sampling.infill and infill.has_masks(sampling.prompt)
        base = replace(base, prompt_literal=sampling.prompt) if literal else replace(base, prompt=sampling.prompt)
    # the first format has digests of the ends of files, which are not compared
    return arguments_of(home, plan.model, sampling, base, given, digested=store.has_whole_digests)


def arguments_of(
    home: Path, model: PlannedModel, sampling: Sampling, base: RunArguments, given: RunArguments, *, digested: bool
) -> RunArguments:
    """Return the arguments of `watch` for what an evaluation has drawn; given ones win.

    base: what differs from sample to sample.  digested: whether fingerprints are of whole files.  Raises ValueError if
    the model or the strategy has changed.
    """
    digests = (model.fingerprint, model.tokenizer_fingerprint) if digested else (None, None)
    name = given.model or find_file(home, model.name, model.path, digests[0], "--model")
    tokenizer = given.tokenizer or model.tokenizer
    if given.tokenizer is None and tokenizer is not None:
        tokenizer = find_file(home, tokenizer, model.tokenizer_path, digests[1], "--tokenizer")
    elif given.tokenizer is None and given.model is None and digests[1] is not None:
        _check_default_tokenizer(home, digests[1])
    same = digested and given.strategy in (None, sampling.strategy)
    if same and sampling.strategy_digest != source_digest(sampling.strategy):
        raise ValueError(f"the strategy {sampling.strategy} has changed since {home} was evaluated: name a --strategy")
    if (
        same
        and not given.knob
        and sampling.files_digest not in (None, knob_files_digest(sampling.strategy, sampling.knobs))
    ):
        raise ValueError(f"a file that a --knob names has changed since {home} was evaluated: give the original one")
    if same and given.model is None and not _has_head(name, sampling.quality_digest):
        raise ValueError(f"the head of {name} has changed since {home} was evaluated: give the original by --model")
    arguments = replace(
        base, model=name, strategy=sampling.strategy, dtype=model.dtype, no_ema=not model.ema, mask_id=model.mask_id,
        tokenizer=tokenizer,
        knob=tuple(f"{name}={str(value).lower()}" for name, value in sampling.knobs.items()),
        steps=sampling.steps, batch=1, seed=sampling.seed, block_length=sampling.block_length,
        **{info.name: getattr(sampling, info.name) for info in SHARED_KNOBS},
    )  # fmt: skip
    pairs = {field.name: (getattr(given, field.name), field.default) for field in fields(RunArguments)}
    changes = {name: value for name, (value, default) in pairs.items() if value != default}
    if changes.keys() & {"prompt", "prompt_literal"}:
        arguments = replace(arguments, prompt=None, prompt_literal=None)
    if "strategy" in changes and changes["strategy"] != sampling.strategy:
        arguments = replace(arguments, knob=())
    return replace(arguments, **changes)


def find_file(home: Path, name: str, path: str | None, digest: str | None, option: str) -> str:
    """Return where a model, tokenizer or judge of an evaluation is now, also if everything was moved together.

    path: where it was, absolute; None if it is not a file.  digest: that of its content; None if unknown.  option: the
    option that names it.  Raises ValueError with the paths that were tried, or if the content has changed.
    """
    if path is None:
        if (home / name).exists() and not Path(name).is_absolute() and not Path(name).exists():
            name = str(home / name)
        if digest is not None and not _holds(_files(name, option), digest):
            raise ValueError(_changed(home, name, option))
        return name
    parts = Path(path).parts[1:]
    tails = [Path(*parts[i:]) for i in reversed(range(len(parts)))][:LONGEST_TAIL]
    bases = (home.resolve(), *list(home.resolve().parents)[:HIGHEST])
    places = [Path(path), *dict.fromkeys(base / tail for base in bases for tail in tails)]
    existing = [each for each in places if each.exists()]
    for each in existing:
        # the model that was exported from a training run, which may have continued
        for files in (each / NEWEST, each):
            if files.is_dir() and digest is not None and digest == fingerprint(files):
                return str(files)
        if digest is None or _holds(each, digest):
            return str(each)
    if existing:
        raise ValueError(_changed(home, str(existing[0]), option))
    tried = f"{path}, and {', '.join(map(str, tails))} in {', '.join(map(str, bases))}"
    raise ValueError(f"{name} of {home} was not found: give its place by {option}; tried {tried}")


def _has_head(name: str, digest: str | None) -> bool:
    """Return whether the trained head of a model has a digest; True if it is missing, which sampling reports."""
    files = None if digest is None else _files(name, "--model")
    if files is None:
        return True
    places = (files / NEWEST / QUALITY, files / QUALITY)
    head = next((path for path in places if path.exists()), None)
    return head is None or file_digest(regular_file(head)) == digest


def _check_default_tokenizer(home: Path, digest: str) -> None:
    """Raise ValueError if the default tokenizer of the hub has changed; a missing one is downloaded later."""
    from engine.evaluation.identity import files_digest  # it imports torch
    from engine.models.tokenizer import USUAL, kept_usual

    usual = kept_usual()
    if usual is not None and files_digest([usual]) != digest:
        raise ValueError(_changed(home, f"the tokenizer {USUAL}", "--tokenizer"))


def _changed(home: Path, name: str, option: str) -> str:
    return f"{name} has changed since {home} was evaluated: give the original by {option}"


def _holds(files: Path | None, digest: str) -> bool:
    """Return whether files have a digest; True if they are missing, as they are downloaded later."""
    if files is None or not files.exists():
        return True
    newest = files / NEWEST
    return digest == fingerprint(files) or (newest.is_dir() and digest == fingerprint(newest))


def _files(name: str, option: str) -> Path | None:
    """Return the files of a built-in model or a repository on this machine; None for another model."""
    from engine.models.hub import cached
    from engine.models.tokenizer import tokenizer_source

    try:
        if option == "--tokenizer":
            return tokenizer_source(name)
        return resolve(name) or cached(name)
    except ValueError:
        return None
