"""An evaluation's sample as a run to watch: the settings that it was drawn with, its seed and its number."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from engine.evaluation.plan import ENGINE
from engine.evaluation.store import SETTINGS, Store
from engine.files.fingerprint import fingerprint
from engine.files.run_layout import NEWEST
from engine.models.catalogue import place
from engine.records import SAMPLING
from engine.strategies import source_digest
from engine.text import infill
from remdm_tui.settings.run_arguments import RunArguments


def sampled(home: Path, number: int, said: RunArguments) -> RunArguments:
    """What `watch` is asked for to show sample `number` of the evaluation in `home`; what was said goes before it.

    Consent to run the model's own code is what was said, never what the directory says.  Raises ValueError with one
    sentence.
    """
    store = Store(home)
    plan = store.plan()
    if plan is None:
        raise ValueError(f"{home} is no evaluation: it has no {SETTINGS}")
    model, sampling = plan.model, plan.sampling
    if not 0 <= number < sampling.count:
        raise ValueError(f"{home} has the samples 0 to {sampling.count - 1}, not {number}")
    if sampling.predictor != ENGINE:
        raise ValueError(f"the samples of {home} were drawn by {sampling.predictor}, which cannot be watched")
    # the first format took digests of the ends of files, which tell nothing now
    digests = (model.fingerprint, model.tokenizer_fingerprint) if store.has_whole_digests else (None, None)
    name = said.model or find_file(home, model.name, model.path, digests[0], "--model")
    spelt = said.tokenizer or model.tokenizer
    if said.tokenizer is None and spelt is not None:
        spelt = find_file(home, spelt, model.tokenizer_path, digests[1], "--tokenizer")
    elif said.tokenizer is None and said.model is None and digests[1] is not None:
        _check_usual(home, digests[1])
    same = store.has_whole_digests and said.strategy in (None, sampling.strategy)
    if same and sampling.strategy_digest != source_digest(sampling.strategy):
        raise ValueError(f"the strategy {sampling.strategy} has changed since {home} was evaluated: name a --strategy")
    drawn = RunArguments(
        model=name, strategy=sampling.strategy, dtype=model.dtype, no_ema=not model.ema, mask_id=model.mask_id,
        tokenizer=spelt,
        knob=tuple(f"{name}={str(value).lower()}" for name, value in sampling.knobs.items()),
        steps=sampling.steps, length=sampling.length, batch=1, seed=sampling.seed,
        chat=sampling.chat, block_length=sampling.block_length, stride=sampling.stride,
        strides=sampling.strides or None, first=number,
        **{info.name: getattr(sampling, info.name) for info in SAMPLING},
    )  # fmt: skip
    given = {field.name: (getattr(said, field.name), field.default) for field in fields(RunArguments)}
    changes = {name: value for name, (value, default) in given.items() if value != default}
    if sampling.prompt and not changes.keys() & {"prompt", "prompt_literal"}:
        filled = sampling.infill or not infill.has_masks(sampling.prompt)
        drawn = replace(drawn, prompt=sampling.prompt) if filled else replace(drawn, prompt_literal=sampling.prompt)
    if "strategy" in changes and changes["strategy"] != sampling.strategy:
        drawn = replace(drawn, knob=())
    return replace(drawn, **changes)


def find_file(home: Path, name: str, path: str | None, digest: str | None, option: str) -> str:
    """Return where a model, tokenizer or judge of an evaluation lies now, also where all of it was moved together.

    path: where it lay, absolute; None for what is no file.  digest: what it must hold; None: nobody knows.
    option: that which says where it is.  Raises ValueError with the places that were looked at, or for one whose
    content has changed.
    """
    if path is None:
        if (home / name).exists() and not Path(name).is_absolute() and not Path(name).exists():
            name = str(home / name)
        if digest is not None and not _holds(_files(name, option), digest):
            raise ValueError(_changed(home, name, option))
        return name
    parts = Path(path).parts[1:]
    tails = [Path(*parts[i:]) for i in reversed(range(len(parts)))]
    bases = (home.resolve(), *list(home.resolve().parents)[:2])
    places = [Path(path), *dict.fromkeys(base / tail for base in bases for tail in tails[:4])]
    there = [each for each in places if each.exists()]
    for each in there:
        # of a training run, which goes on, the model that was made of it
        for files in (each / NEWEST, each):
            if files.is_dir() and digest is not None and digest == fingerprint(files):
                return str(files)
        if digest is None or _holds(each, digest):
            return str(each)
    if there:
        raise ValueError(_changed(home, str(there[0]), option))
    shown = ", ".join(map(str, places))
    raise ValueError(f"{name} of {home} is nowhere to be found: say where it is by {option}; tried {shown}")


def _check_usual(home: Path, digest: str) -> None:
    """Raise ValueError where the hub's usual tokenizer is another now; one that is not there yet is fetched later."""
    from engine.evaluation.identity import files_digest  # it imports torch
    from engine.models.tokenizer import USUAL, kept_usual

    usual = kept_usual()
    if usual is not None and files_digest([usual]) != digest:
        raise ValueError(_changed(home, f"the tokenizer {USUAL}", "--tokenizer"))


def _changed(home: Path, name: str, option: str) -> str:
    return f"{name} has changed since {home} was evaluated: say by {option} where the one is that it was evaluated with"


def _holds(files: Path | None, digest: str) -> bool:
    """Return whether files have a digest; also where there are none yet, which are fetched later."""
    if files is None or not files.exists():
        return True
    newest = files / NEWEST
    return digest == fingerprint(files) or (newest.is_dir() and digest == fingerprint(newest))


def _files(name: str, option: str) -> Path | None:
    """Return what lies on this machine under the name of a built-in or of a repository; None for nothing."""
    from engine.models.hub import cached
    from engine.models.tokenizer import tokenizer_place

    try:
        if option == "--tokenizer":
            return tokenizer_place(name)
        return place(name) or cached(name)
    except ValueError:
        return None
