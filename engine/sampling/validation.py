"""What a canvas and a model allow: checked before a run begins and when its strategy is changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from engine.models.protocol import Denoiser, ends_of, has_shadows, has_simplex, quality_of
from engine.records import Settings
from engine.sampling.blocks import Blocks
from engine.strategies import REGISTRY, Strategy, reads_of
from engine.strategies.left_to_right import LeftToRight
from engine.strategies.ssd_lm import SsdLm
from engine.text import infill


def check_canvas(model: Denoiser, steps: int, length: int, prompt: Sequence[int]) -> None:
    """Raise ValueError for a canvas the model cannot fill or a prompt it cannot hold or complete."""
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if length < 1:
        raise ValueError(f"length must be at least 1, not {length}")
    if model.max_length is not None and length > model.max_length:
        raise ValueError(f"length {length} is beyond the model's {model.max_length}")
    if len(prompt) > length:
        raise ValueError(f"the prompt has {len(prompt)} tokens and the canvas {length}: raise the length")
    bad = [i for i in prompt if not 0 <= i < model.vocab_size]
    if bad:
        raise ValueError(f"the prompt holds token {bad[0]}, which is outside the vocabulary of {model.vocab_size}")
    if getattr(model, "causal", False):
        infill.check_left_to_right(getattr(model, "name", "the model"), infill.fixed(prompt, model.mask_id))


def check_prompts(model: Denoiser, steps: int, length: int, prompts: Sequence[Sequence[int]], in_order: bool) -> None:
    """Raise ValueError for prompts that cannot share the network; in_order: those of blocks or a causal model."""
    for prompt in prompts:
        check_canvas(model, steps, length, prompt)
        if len(prompt) != len(prompts[0]):
            raise ValueError("prompts that share the network must have one length")
        if in_order and infill.fixed(prompt, model.mask_id) != infill.fixed(prompts[0], model.mask_id):
            raise ValueError("prompts that share the network in one order must have the same positions masked")


def check_sampler(model: Denoiser, strategy: Strategy, settings: Settings, blocks: Blocks) -> None:
    """Raise ValueError for a strategy or settings that do not go with the model or the blocks."""
    if blocks.window is not None and len(set(blocks.ends)) < len(blocks) and "simplex" not in reads_of(strategy):
        raise ValueError("take either a block_length or a stride, not both")
    check_order(model, strategy, blocks)
    check_reads(model, strategy)
    check_settings(model, strategy, settings)
    check_simplex(model, strategy, settings, blocks)


def check_reads(model: Denoiser, strategy: Strategy) -> None:
    """Raise ValueError for a strategy that reads what the model does not give."""
    name = getattr(model, "name", "the model")
    if strategy.verification() == "shadow" and not has_shadows(model):
        raise ValueError(
            f"{strategy.name} verifies by a shadow block, which {name} does not compute: choose --knob verify=exact"
        )
    if "quality" in reads_of(strategy) and quality_of(model) is None:
        raise ValueError(
            f"{strategy.name} needs a model with a trained head, and {name} has none: choose --model demo, or train "
            "one with `remdm-tui train-head`"
        )


def check_settings(model: Denoiser, strategy: Strategy, settings: Settings) -> None:
    """Raise ValueError for shared settings that mean nothing with the model or the strategy."""
    name = getattr(model, "name", "the model")
    if settings.cfg > 0 and getattr(model, "causal", False):
        raise ValueError(f"{name} predicts from the left alone and knows no mask for the prompt: leave cfg at 0")
    if (settings.eos_bias or settings.eos_confidence != "kept") and not ends_of(model):
        raise ValueError(f"{name} has no token that ends a text: leave eos_bias at 0 and eos_confidence at kept")


def check_simplex(model: Denoiser, strategy: Strategy, settings: Settings, blocks: Blocks) -> None:
    """Raise ValueError for what a canvas over the simplex does not allow."""
    if "simplex" not in reads_of(strategy):
        return
    name = getattr(model, "name", "the model")
    if not isinstance(strategy, SsdLm):
        raise ValueError(f"{strategy.name} reads the simplex, which only ssd-lm and its subclasses do")
    if not has_simplex(model):
        raise ValueError(
            f"{strategy.name} needs embed_sum_layer.pt and timestep_layer.pt beside the model's weights: without them "
            f"{name} is an ordinary masked language model"
        )
    sizes = [end - first for first, end in pairwise(blocks.edges)]
    if blocks.window is not None and len(set(sizes)) > 1:
        raise ValueError(
            f"{strategy.name} generates blocks of one size: give a block_length that divides the stride, and what the "
            "first window has after the prompt"
        )
    if len(set(sizes)) > 1:
        raise ValueError(
            f"a block_length of {max(sizes)} does not divide the {sum(sizes)} tokens after the prompt, as "
            f"{strategy.name} needs"
        )
    if strategy.projection == "even" and settings.top_p >= 1:
        raise ValueError("with top_p 1 the projection even puts every token at +K: take .95, or projection=sampling")
    if settings.cfg > 0:
        raise ValueError(f"{strategy.name} has no guidance: leave cfg at 0")


def check_order(model: Denoiser, strategy: Strategy, blocks: Blocks) -> None:
    """Raise ValueError where a model that predicts from the left alone would have to fill two positions at once."""
    if not getattr(model, "causal", False):
        return
    name = getattr(model, "name", "the model")
    if not strategy.from_the_left:
        fitting = " or ".join(known for known, kind in REGISTRY.items() if kind.from_the_left)
        raise ValueError(f"{name} predicts from the left alone: choose --strategy {fitting}")
    if isinstance(strategy, LeftToRight) and strategy.k > 1:
        raise ValueError(f"{name} predicts from the left alone, so one token a step: leave k at 0, not {strategy.k}")
    sizes = [end - first for first, end in pairwise(blocks.edges)]
    if any(steps < size for steps, size in zip(blocks.steps, sizes, strict=True)):
        # the steps are shared out evenly, and only the last block may be shorter
        least = max(sizes) if blocks.window else len(sizes) * max(sizes) - (sizes[-1] < max(sizes))
        count = max(sizes) if blocks.window else sum(sizes)
        raise ValueError(f"{name} needs a step for each of its {count} positions: --steps {least} or more")
