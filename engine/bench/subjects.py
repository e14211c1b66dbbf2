"""The two sides of the comparison: a random network, and one step of it dense and factorised."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from engine.bench.options import PROBABILITIES, NetworkShape, Options
from engine.models.dit import DIT, DITConfig
from engine.models.folded import FoldedDIT
from engine.models.protocol import Denoiser, device_of, encode_rows
from engine.records import Settings
from engine.sampling import oracle
from engine.sampling.readout import HEAD_ROWS
from engine.sampling.session import config_of
from engine.sampling.state import SamplerState
from engine.sampling.step import Stepper
from engine.strategies import Strategy, make_strategy


class Unfolded:
    """A DIT as ReMDM's code runs it: weights in float32, matrices under autocast for another type."""

    def __init__(self, model: DIT, dtype: torch.dtype) -> None:
        self.model, self.dtype = model, dtype
        self.vocab_size, self.mask_id = model.vocab_size, model.mask_id
        self.max_length, self.time_conditioned = model.max_length, model.time_conditioned

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        with self._autocast():
            return self.model.encode(tokens, t)

    def project(self, hidden: Tensor) -> Tensor:
        with self._autocast():
            return self.model.project(hidden)

    def _autocast(self) -> AbstractContextManager[object]:
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(self.model.device.type, self.dtype)


@torch.no_grad()
def random_model(shape: NetworkShape, seed: int, *, timed: bool = False) -> DIT:
    """Return a DIT whose every parameter matters: modulation and head, which start at zero, are random too.

    timed: whether it is conditioned on the noise level.  The head's spread gives logits of a standard deviation
    of about 4, hence nuclei as small as a trained model's.
    """
    config = DITConfig(
        vocab_size=shape.vocab, hidden_size=shape.width, n_blocks=shape.blocks, n_heads=shape.heads,
        length=shape.length, mask_id=shape.vocab - 1, time_conditioning=timed,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = DIT(config)
    for name, parameter in model.named_parameters():
        if "adaLN" in name:
            parameter.normal_(0, 0.1)
        elif name == "output_layer.linear.weight":
            parameter.normal_(0, 4 / shape.width**0.5)
    return model.eval().requires_grad_(False)


def half_masked(shape: NetworkShape, seed: int) -> Tensor:
    """Return random tokens long [1, L], every other one masked in expectation."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, shape.vocab - 1, (1, shape.length), generator=generator)
    return tokens.masked_fill(torch.rand(tokens.shape, generator=generator) < 0.5, shape.vocab - 1)


class Oblivious:
    """The cheapest denoiser: one distribution everywhere.  How often a sampler calls does not depend on its inputs."""

    vocab_size, mask_id, max_length, time_conditioned = 17, 16, None, False

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        return torch.zeros((*tokens.shape, 1))

    def project(self, hidden: Tensor) -> Tensor:
        return torch.arange(17.0).expand(len(hidden), -1)

    def quality(self, hidden: Tensor) -> Tensor:
        return hidden[:, 0]


class CountingModel:
    """A denoiser that counts calls, one for a batch."""

    def __init__(self, model: Denoiser) -> None:
        self.model, self.times = model, 0
        self.vocab_size, self.mask_id = model.vocab_size, model.mask_id
        self.max_length, self.time_conditioned = model.max_length, model.time_conditioned
        self.device = torch.device(device_of(model))

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        self.times += 1
        return self.model.encode(tokens, t)

    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        self.times += 1
        return encode_rows(self.model, tokens, t, where)

    def project(self, hidden: Tensor) -> Tensor:
        return self.model.project(hidden)


def dense(model: Denoiser, options: Options, probabilities: str) -> Callable[[int], int]:
    """Map step number to tokens revealed, by the dense update from the same half-masked state each time."""
    strategy = make_strategy("remdm-cap", eta=options.eta)
    config = config_of(strategy, Settings(strategy.name, top_p=options.top_p))
    tokens = half_masked(options.shape, options.seed)
    held = torch.where(tokens == model.mask_id, torch.nan, 0.5).double()
    generator = torch.Generator().manual_seed(options.seed)
    t, s = _half(options)
    dtype = torch.float64 if probabilities == "float64" else getattr(torch, _dtype_name(model))

    def step(_: int) -> int:
        new, *_rest = oracle.step(model, strategy, config.settings, tokens, held, t, s, generator, dtype)
        return int(((new != model.mask_id) & (tokens == model.mask_id)).sum())

    return step


def ours(model: Denoiser, options: Options, strategy: Strategy) -> Callable[[int], int]:
    """Map step number to tokens revealed, by the factorised step from the same half-masked state each time."""
    config = config_of(strategy, Settings(strategy.name, top_p=options.top_p))
    tokens = half_masked(options.shape, options.seed)
    held = torch.where(tokens == model.mask_id, torch.nan, 0.5).double()
    locked = torch.zeros_like(tokens, dtype=torch.bool)
    stepper = Stepper(model, options.seed)
    t, s = _half(options)

    def step(number: int) -> int:
        state = SamplerState(tokens.clone(), held.clone(), locked, [0])
        decision, _ = stepper.decide(config, state, [number], t, s)
        stepper.apply(config, state, decision.flips, [number], config.strategy.alpha(t))
        return int(decision.flips.reveal.sum())

    return step


def network_alone(model: Denoiser, options: Options) -> Callable[[int], int]:
    """Map step number to 0: the network and its head at all positions, whose logits nothing is done with.

    The head is read in portions, as ours is, so that no page of a [1, L, V] tensor is paid for.
    """
    tokens = half_masked(options.shape, options.seed)

    def step(_: int) -> int:
        hidden = model.encode(tokens, torch.ones(1))[0]
        for rows in torch.split(hidden, HEAD_ROWS):
            model.project(rows)
        return 0

    return step


def _half(options: Options) -> tuple[Tensor, Tensor]:
    t = torch.full((1, 1), 0.5, dtype=torch.float64)
    return t, t - 1 / options.steps


def _dtype_name(model: Denoiser) -> str:
    return str(getattr(model, "dtype", torch.float32)).removeprefix("torch.")


def side(model: DIT, name: str, dtype_name: str, options: Options) -> Callable[[int], int]:
    """Return one step of a side as a function of its number.

    name: `ours` for remdm-cap, `alone` for network and head, a strategy at its defaults, or the type of the dense
    side's probabilities.
    """
    dtype = getattr(torch, dtype_name)
    if name in PROBABILITIES:
        return dense(Unfolded(model, dtype), options, name)
    folded = FoldedDIT(model, dtype)
    if name == "alone":
        return network_alone(folded, options)
    return ours(folded, options, make_strategy("remdm-cap", eta=options.eta) if name == "ours" else make_strategy(name))
