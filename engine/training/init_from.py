"""Begin a run with the shape, the tokenizer and the weights of an existing model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from engine.files.regular import is_there
from engine.files.run_layout import read_exported
from engine.models.causal_dit import CausalDIT
from engine.models.dit import DIT, NoiseEmbedding
from engine.models.files import fill
from engine.models.files.tokenizer_file import read_tokenizer
from engine.models.grid import GridDIT
from engine.models.kinds import KINDS, TrainableNetwork
from engine.models.loading import LoadRequest
from engine.models.readers.dit_family import find_network, network_kind, shape_of
from engine.models.readers.names import Found
from engine.models.simplex_roberta import SimplexRoberta
from engine.models.sources import locate
from engine.system.callbacks import ignore
from engine.training.rows import TrainingData

SHAPE = ("vocab_size", "hidden_size", "n_blocks", "n_heads", "cond_dim", "length")
"""The fields of the network's shape that such a run takes from the model."""
FITTED = 32
"""The number of windows of the corpus on which a score network's logits are normalised."""
RIDGE = 1e-3
"""The ridge of the regression, relative to the mean variance of a state's components."""


def shape(name: str) -> dict[str, int]:
    """Return SHAPE of the model that `--model` calls `name`.  Raises ValueError if it is of another family."""
    config = shape_of(found := _found(name), network_kind(found, name)[0])
    return {field: getattr(config, field) for field in SHAPE}


def tokenizer(name: str) -> str:
    """Return the name of such a model's tokenizer: its own, in its directory or beside its file, else GPT-2's, which
    published models use.
    """
    home = locate(name, ignore)
    file = _tokenizer_file(home)
    return "gpt2" if not is_there(file) else name if home.is_dir() else str(file)


def recovery_note(name: str) -> str:
    """Return why the model of a run is not from its last checkpoint; empty if it is, or for another model."""
    return read_exported(locate(name, ignore)).note


def load_initial_weights(model: TrainableNetwork, name: str, corpus: TrainingData, *, scores: bool = False) -> None:
    """Copy the tensors of such a model into a new network, unchanged.

    A network with time conditioning whose model has none computes the same at every noise level at first.  scores:
    whether the network's logits are used without a softmax, as SEDD's; the logits of a model that was trained with
    one are shifted by one number for each position, so that their exponentials sum to about V - 1 and the denoiser is
    the same.  Raises ValueError if shapes differ or if the corpus has another vocabulary.
    """
    assert not isinstance(model, GridDIT | SimplexRoberta), "a configuration of these has no run.init"
    _check(name, corpus)
    found = _found(name)
    kind = network_kind(found, name)[0]
    with torch.device("meta"):
        source = type(model)(model.config)
    fill(source, found.weights, device=torch.device("cpu"), dtype=lambda _: torch.float32, rename=found.own_name)
    rotary = model.rotary_emb.inv_freq.clone()
    model.load_state_dict(source.state_dict())
    # a bfloat16 file has rounded frequencies
    model.rotary_emb.inv_freq.copy_(rotary)
    if isinstance(model, CausalDIT):
        return
    if model.time_conditioned and not shape_of(found, kind).time_conditioning:
        _ignore_noise_level(model.sigma_map)
    stated = (kind, found.word("kind"))
    if scores and not any(KINDS[one].scores for one in stated if one in KINDS):
        _normalise(model, corpus)


@torch.no_grad()
def _ignore_noise_level(embedding: NoiseEmbedding) -> None:
    """Make the embedding of every noise level that of level 0, in a way that it can learn to distinguish levels."""
    last = cast(nn.Linear, embedding.mlp[-1])
    at_zero = embedding(torch.zeros(1, device=last.weight.device))[0]
    last.weight.zero_()
    last.bias.copy_(at_zero)


@torch.no_grad()
def _normalise(model: DIT, corpus: TrainingData) -> None:
    """Subtract from the logits of a position the linear function of its state closest to log sum exp - log(V - 1).

    SEDD's score of a token is exp(logit) / (V - 1) times a factor of the noise level, see `score_entropy`.
    """
    head, length = model.output_layer.linear, model.config.length
    rows = torch.from_numpy(corpus.spread("train", length, FITTED))
    t = (torch.arange(FITTED) + 0.5) / FITTED
    where = torch.rand(rows.shape, generator=torch.Generator().manual_seed(0)) < t[:, None]
    noised = rows.masked_fill(where, model.mask_id).to(head.weight.device)
    hidden = model.eval().encode(noised, t.to(noised.device))[where]
    logits = model.project(hidden)
    logits[:, model.mask_id] = -torch.inf
    excess = logits.logsumexp(-1) - math.log(model.vocab_size - 1)
    weight, bias = (part.to(head.weight) for part in _fit(hidden.double().cpu(), excess.double().cpu()))
    head.weight.sub_(weight)
    head.bias.sub_(bias)


def _fit(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ridge regression of y [N] on x [N, D]: (weight [D], bias [])."""
    centre, level = x.mean(0), y.mean()
    moments = (x - centre).T @ (x - centre) / len(x)
    # normalised states lie in a plane: without the ridge, weights would grow without bound along its normal
    moments += RIDGE * moments.trace() / len(moments) * torch.eye(len(moments), dtype=x.dtype)
    weight = torch.linalg.solve(moments, (x - centre).T @ (y - level) / len(x))
    return weight, level - weight @ centre


def _check(name: str, corpus: TrainingData) -> None:
    file = _tokenizer_file(locate(name, ignore))
    vocabulary = read_tokenizer(file).get_vocab() if is_there(file) else {}
    if not vocabulary.items() <= corpus.tokenizer.get_vocab().items():
        raise ValueError(
            f"{name} has another vocabulary than the data: leave data.tokenizer out, or set it to {name!r}"
        )


def _tokenizer_file(home: Path) -> Path:
    """Return where the tokenizer of a model's directory or file would be."""
    return (home if home.is_dir() else home.parent) / "tokenizer.json"


def _found(name: str) -> Found:
    return find_network(LoadRequest(name, locate(name, ignore), torch.device("cpu"), torch.float32))
