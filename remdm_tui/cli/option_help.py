"""Ranges, choices and defaults in help texts, read from where each is declared; imported when help is shown."""

from __future__ import annotations

from dataclasses import fields

from engine.data.catalogue import DATASETS
from engine.records import SHARED_KNOBS, ModelChoice, Settings
from engine.strategies import REGISTRY
from remdm_tui.commands.bench import PARTS
from remdm_tui.commands.eval_arguments import COUNT, JUDGE, OFFLINE_JUDGE
from remdm_tui.settings import presets, train_configs
from remdm_tui.settings.knobs import span
from remdm_tui.settings.watch_options import DEFAULT_STRATEGY, WatchOptions


def help_values() -> dict[str, str]:
    """Return the text for `{name}` in help texts, by name of the option."""
    defaults = {field.name: field.default for choice in (WatchOptions, ModelChoice) for field in fields(choice)}
    defaults["model"] = defaults["name"]
    shared = {field.name: field.default for field in fields(Settings)}
    return {
        **{name: f"default {value}" for name, value in defaults.items()},
        **{info.name: f"{info.doc}; {span(info)}, default {shared[info.name]}" for info in SHARED_KNOBS},
        "strategy": f"{' | '.join(REGISTRY)}, default {DEFAULT_STRATEGY}",
        "preset": " | ".join(presets.preset_names()),
        "configs": " | ".join(train_configs.train_config_names()),
        "parts": " | ".join(PARTS),
        "count": f"default {COUNT}",
        "judge": f"default {JUDGE}, or {OFFLINE_JUDGE} if that is not available",
        "predictor": "lazy (ours, for every strategy) | ddpm | ddpm_cache | analytic | ssd-lm | ar, default lazy",
        "datasets": " | ".join(DATASETS),
    }
