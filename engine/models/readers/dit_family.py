"""The DIT and its causal twin as the field publishes them: MDLM, D3PM, SEDD and AR, on the hub and in Lightning files.

The shape of the network is read off its tensors; what a configuration says must agree with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from engine.files.regular import is_there
from engine.models.causal_dit import CausalDIT
from engine.models.dit import DIT, DITConfig, Rotary
from engine.models.files import fill, open_weights, read_object
from engine.models.kinds import KINDS, FileHints, NetworkKind
from engine.models.loading import Discrete, Loaded, LoadRequest
from engine.models.readers import lightning
from engine.models.readers.names import BLOCK, Found, ignored_note, is_family, prefix_of
from engine.models.text import Codec
from engine.models.tokenizer import USUAL, borrowed, special, tokenizer_file
from engine.text.infill import MASKS

LENGTH = 1024
"""Of the models whose file does not say."""
LONGEST = 1 << 16
"""A longer canvas is no model's of this family, but a claim that costs memory."""
ALGORITHM = (("algo",), ("config", "algo"))
GRAPH = (("graph",), ("config", "graph"))


class DitFamily:
    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        single = home.is_file() or lightning.file_in(home) is not None
        # a file whose tensors cannot be listed is broken, and `read` says in what way; a directory without a
        # configuration is half a download
        return is_family(tensors) and (single or bool(config)) if tensors else lightning.file_in(home) is not None

    def read(self, request: LoadRequest) -> Loaded:
        found = find_network(request)
        kind, notes = network_kind(found, request.name)
        file = tokenizer_file(request, USUAL)
        codec = Codec.from_file(file)
        config = shape_of(found, kind)
        if codec.size > config.vocab_size:
            raise ValueError(
                f"the tokenizer has {codec.size} tokens, {request.name} {config.vocab_size}: "
                "pass the one it was trained with as --tokenizer PATH"
            )
        config = replace(config, mask_id=dit_mask(request, found, codec, config.vocab_size))
        made = KINDS[kind]
        with torch.device("meta"):
            model = cast(DIT | CausalDIT, made.network(config))
        ignored = _fill_network(model, request, found, _own_names(found, made))
        hints = FileHints(found.number("bos_token_id", "bos_id"), _letting_go(model, found))
        return replace(
            made.load(model, request, codec, hints),
            notes=(*found.notes, *notes, *ignored_note(found.ignored + ignored)),
            borrowed_tokenizer=borrowed(request, file),
            discrete=Discrete.of(found.number("T"), found.setting("subs_masking")) if made.discrete else None,
        )


def find_network(request: LoadRequest) -> Found:
    """Return what lies at the request's home: a Lightning file, or tensors with a config.json."""
    home = request.home
    config = _config((home if home.is_dir() else home.parent) / "config.json")
    file = lightning.file_in(home)
    if file is not None:
        found = lightning.read_tensors(file, request.ema)
        trained = found.trained and bool(found.config)
        return found if trained else replace(found, config={**config, **found.config}, trained=False)
    weights = open_weights(home)
    return Found(weights, config, prefix=prefix_of(weights.shapes))


def _config(path: Path) -> Mapping[str, object]:
    return read_object(path, "a configuration") if is_there(path) else {}


def network_kind(found: Found, name: str) -> tuple[str, tuple[str, ...]]:
    """Return (the kind of the model, a key of KINDS; notes on how that was found).

    Raises ValueError for one of the family that is not read.
    """
    stated, notes = _stated_kind(found, name)
    bare = not any("adaLN_modulation" in tensor for tensor in found.shapes)
    if not stated and bare:
        return "causal", ()
    if not stated:
        return "dit", ("taken for MDLM without time conditioning: the file does not say what it is",)
    label, causal = KINDS[stated].label, KINDS[stated].causal
    if bare and not causal:
        raise ValueError(f"{name} is configured as {label}, but has no modulation, as only AR models have none")
    if causal and not bare:
        raise ValueError(f"{name} is configured as {label}, but its blocks are modulated: that kind is not read")
    return stated, notes


def _stated_kind(found: Found, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the kind by its settings, else by its name, else by its type; empty where nothing says it."""
    algorithm, parameterization = found.word("name", sections=ALGORITHM), found.word("parameterization")
    graph, model = found.word("type", sections=GRAPH), found.word("model_type")
    if "uniform" in (graph, found.word("diffusion")):
        raise ValueError(f"{name} diffuses to uniform noise, not to masks: it has nothing to unmask")
    if "bd3lm" in (algorithm, model) and _blockwise(found):
        raise ValueError(f"{name} is a block diffusion model, whose attention is causal over blocks: it is not read")
    kinds = {word: kind for kind, made in KINDS.items() for word in made.words}
    known = {"bd3lm": kinds.get(parameterization, "dit"), **kinds}
    for word in filter(None, (algorithm, parameterization)):
        if word in known:
            return known[word], ()
        if word == algorithm:
            raise ValueError(f"{name} is of the kind {word!r}: those read are {', '.join(kinds)}")
    if parameterization:
        raise ValueError(f"{name} is of the parameterization {parameterization!r}: those read are {', '.join(kinds)}")
    if graph == "absorb":
        return "sedd", ()
    # the hub's copies of SEDD call their type after the network, which is MDLM's
    for kind, made in KINDS.items():
        if made.name_part and made.name_part in Path(name).name.lower():
            return kind, (f"taken for {made.label} by its name",)
    architectures = found.setting("architectures")
    classes = architectures if isinstance(architectures, list) else []
    return next((kinds[word] for word in (model, *map(str.lower, map(str, classes))) if word in kinds), ""), ()


def _blockwise(found: Found) -> bool:
    """Return whether a BD3-LM (arXiv 2503.09573) attends by blocks: one block as long as the canvas is plain MDLM."""
    whole = found.setting("causal") is True or found.setting("cross_attn") is False
    return not whole and (found.number("block_size") or 1) < length_of(found)


def length_of(found: Found) -> int:
    length = found.number("model_length", "length") or LENGTH
    if not 0 < length <= LONGEST:
        raise ValueError(f"{found.weights.path} claims a length of {length}: models of this family have 1 to {LONGEST}")
    return length


def shape_of(found: Found, kind: str) -> DITConfig:
    """Return the network's shape by its tensors.  Raises ValueError where they or the configuration contradict it.

    kind: a key of KINDS.
    """
    shapes, made = found.shapes, KINDS[kind]
    vocab, hidden = _shape(shapes, "vocab_embed.embedding", 2)
    (half,) = _shape(shapes, "rotary_emb.inv_freq", 1)
    if half == 0 or hidden % (2 * half):
        raise ValueError(f"rotary_emb.inv_freq has {half} frequencies, which do not fit a width of {hidden}")
    numbers = {int(match[1]) for match in map(BLOCK.match, shapes) if match}
    lacking = next((i for i in range(len(numbers)) if i not in numbers), None)
    if lacking is not None:
        raise ValueError(f"the weights have {len(numbers)} blocks, but blocks.{lacking} is missing")
    heads, blocks = hidden // (2 * half), len(numbers)
    for what, have, claimed in (
        ("blocks", blocks, found.number("n_blocks")),
        ("heads", heads, found.number("n_heads")),
        ("wide", hidden, found.number("hidden_size", "hidden_dim")),
    ):
        if claimed not in (None, have):
            raise ValueError(f"the weights do not fit the configuration: it says {claimed} {what}, they have {have}")
    timed = found.setting("time_conditioning")
    if timed is not None and type(timed) is not bool:
        raise ValueError(f"{found.weights.path}: time_conditioning must be true or false, not {str(timed)[:40]!r}")
    if made.scores and not found.trained:
        timed = True  # the hub's copies do not say, or say what MDLM's configuration says by default
    cond = 1 if made.causal else _shape(shapes, "sigma_map.mlp.0.weight", 2)[0]
    return DITConfig(
        vocab_size=vocab, hidden_size=hidden, n_blocks=blocks, n_heads=heads, cond_dim=cond, length=length_of(found),
        mask_id=vocab - 1, time_conditioning=made.scores if timed is None else timed,
    )  # fmt: skip


def _shape(shapes: Mapping[str, tuple[int, ...]], name: str, dimensions: int) -> tuple[int, ...]:
    if name not in shapes:
        raise ValueError(f"the weights do not fit the network: {name} is missing")
    if len(shapes[name]) != dimensions:
        raise ValueError(f"the weights do not fit the network: {name} has shape {list(shapes[name])}")
    return shapes[name]


def dit_mask(request: LoadRequest, found: Found, codec: Codec, vocab_size: int) -> int:
    """Return the mask's id: the requested one, the configured one, the one token more than the tokenizer has, or the
    tokenizer's own.
    """
    beyond = codec.size if codec.size == vocab_size - 1 else None
    configured = found.number("mask_index", "mask_token_id", "mask_id", "tokens")
    choices = (request.mask_id, configured, beyond, special(codec, MASKS))
    mask = next((i for i in choices if i is not None), None)
    if mask is None or not 0 <= mask < vocab_size:
        what = "the mask token cannot be determined" if mask is None else f"{mask} is not a token"
        raise ValueError(f"{what} of {request.name}: pass --mask-id with a number of 0 to {vocab_size - 1}")
    return mask


def _own_names(found: Found, made: NetworkKind) -> Callable[[str], str | None]:
    """Return what maps a tensor's name in the file to the network's; None for one that is ignored."""

    def rename(name: str) -> str | None:
        own = found.own_name(name)
        # some runs of AR carry the noise level's network along although nothing reads it
        return None if own is None or (made.causal and own.startswith("sigma_map.")) else own

    return rename


def _fill_network(
    network: DIT | CausalDIT, request: LoadRequest, found: Found, rename: Callable[[str], str | None]
) -> tuple[str, ...]:
    """Give a network on the meta device its tensors, float32; return the names of those ignored."""
    ignored = fill(
        network,
        found.weights,
        device=request.device,
        dtype=lambda _: torch.float32,
        rename=rename,
        progress=request.progress,
    )
    rotary = network.rotary_emb
    exact = Rotary(2 * len(rotary.inv_freq)).inv_freq.to(request.device)
    # a file in bfloat16 has them rounded, which would turn distant tokens the wrong way
    if not torch.allclose(rotary.inv_freq, exact, rtol=0.01):
        raise ValueError(f"{request.name} has rotary frequencies of another base than 10000: that kind is not read")
    rotary.inv_freq = exact
    network.eval().requires_grad_(False)
    return ignored


def _letting_go(model: nn.Module, found: Found) -> Callable[[nn.Module], None]:
    """Return what gives up a part of the model and the file's pages behind it, so that it need not lie in memory
    twice.
    """
    prefixes = {id(module): f"{name}." for name, module in model.named_modules()}

    def done(module: nn.Module) -> None:
        for name in found.weights.shapes:
            if (found.own_name(name) or "").startswith(prefixes[id(module)]):
                found.weights.release(name)
        module.to("meta")

    return done
