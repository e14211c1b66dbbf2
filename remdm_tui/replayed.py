"""An evaluation's sample as a run to watch: the settings that it was drawn with, its seed and its number."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from engine import infill
from engine.evaluation.files import fingerprint
from engine.evaluation.plan import ENGINE
from engine.evaluation.store import SETTINGS, Store
from engine.records import SAMPLING
from engine.runs import NEWEST
from remdm_tui.asked import Asked


def sampled(home: Path, number: int, said: Asked) -> Asked:
    """What `watch` is asked for to show sample `number` of the evaluation in `home`; what was said goes before it.

    Consent to run the model's own code is what was said, never what the directory says.  Raises ValueError with one
    sentence.
    """
    plan = Store(home).plan()
    if plan is None:
        raise ValueError(f"{home} is no evaluation: it has no {SETTINGS}")
    model, sampling = plan.model, plan.sampling
    if not 0 <= number < sampling.count:
        raise ValueError(f"{home} has the samples 0 to {sampling.count - 1}, not {number}")
    if sampling.predictor != ENGINE:
        raise ValueError(f"the samples of {home} were drawn by {sampling.predictor}, which cannot be watched")
    name = said.model or found(home, model.name, model.path, model.fingerprint)
    spelt = said.tokenizer or model.tokenizer
    if said.tokenizer is None and spelt is not None:
        spelt = found(home, spelt, model.tokenizer_path, model.tokenizer_fingerprint)
    drawn = Asked(
        model=name, strategy=sampling.strategy, dtype=model.dtype, no_ema=not model.ema, mask_id=model.mask_id,
        tokenizer=spelt,
        knob=tuple(f"{name}={str(value).lower()}" for name, value in sampling.knobs.items()),
        steps=sampling.steps, length=sampling.length, batch=1, seed=sampling.seed,
        chat=sampling.chat, block_length=sampling.block_length, stride=sampling.stride,
        strides=sampling.strides or None, first=number,
        **{info.name: getattr(sampling, info.name) for info in SAMPLING},
    )  # fmt: skip
    given = {field.name: (getattr(said, field.name), field.default) for field in fields(Asked)}
    changes = {name: value for name, (value, default) in given.items() if value != default}
    if sampling.prompt and not changes.keys() & {"prompt", "prompt_literal"}:
        filled = sampling.infill or not infill.written(sampling.prompt)
        drawn = replace(drawn, prompt=sampling.prompt) if filled else replace(drawn, prompt_literal=sampling.prompt)
    if "strategy" in changes and changes["strategy"] != sampling.strategy:
        drawn = replace(drawn, knob=())
    return replace(drawn, **changes)


def found(home: Path, name: str, path: str | None, digest: str | None) -> str:
    """Return where a model or tokenizer of an evaluation lies now, also where all of it was moved together.

    path: where it lay, absolute; None for what is no file.  digest: what another place must hold.
    Raises ValueError with the places that were looked at.
    """
    if path is None:
        if Path(name).is_absolute() or not (home / name).exists() or Path(name).exists():
            return name
        return str(home / name)
    parts = Path(path).parts[1:]
    tails = [Path(*parts[i:]) for i in reversed(range(len(parts)))]
    bases = (home.resolve(), *list(home.resolve().parents)[:2])
    places = [Path(path), *(base / tail for base in bases for tail in tails[:4])]
    for place in places:
        if place == Path(path) and place.exists():
            return str(place)
        if place.exists() and digest in (fingerprint(place), fingerprint(place / NEWEST)):
            return str(place)
    shown = ", ".join(map(str, places))
    raise ValueError(
        f"{name} of {home} is nowhere to be found: say where it is by --model or --tokenizer; tried {shown}"
    )
