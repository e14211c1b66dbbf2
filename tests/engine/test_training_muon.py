"""Muon in the parameters' type is torch's but for rounding."""

import pytest
import torch

from engine.models.dit import DIT, DITConfig
from engine.training.muon import WholeMuon, orthogonal
from engine.training.optimizers import optimizers
from engine.training.sections import OptimSection

HOW = {"lr": 0.02, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}


def stepped(kind, steps=3):
    generator = torch.Generator().manual_seed(0)
    shapes = [(24, 8), (8, 24), (16, 16)]
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    optimizer = kind(parameters, **HOW)
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return parameters, optimizer


def test_it_moves_as_torchs_does_to_the_rounding_of_bfloat16():
    for ours, torchs in zip(stepped(WholeMuon)[0], stepped(torch.optim.Muon)[0], strict=True):
        started = stepped(WholeMuon, steps=0)[0]
        moved = max(float((torchs - first).detach().abs().max()) for first in started if first.shape == torchs.shape)
        assert float((ours - torchs).detach().abs().max()) < 0.03 * moved
        assert not torch.equal(ours, torchs)


def test_states_are_exchanged_with_torchs():
    """Under torch's momentum, and no longer its own, it moves as torch's would have moved."""

    def moved(parameters, optimizer):
        before = [parameter.detach().clone() for parameter in parameters]
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter) / 10
        optimizer.step()
        return [parameter.detach() - was for parameter, was in zip(parameters, before, strict=True)]

    theirs, other = stepped(torch.optim.Muon)
    given = other.state_dict()
    ours, optimizer = stepped(WholeMuon, steps=1)
    own, alone = stepped(WholeMuon, steps=1)
    optimizer.load_state_dict(given)
    for parameters in (ours, own):
        for parameter, value in zip(parameters, theirs, strict=True):
            parameter.data.copy_(value.detach())
    wanted, found, unlike = moved(theirs, other), moved(ours, optimizer), moved(own, alone)
    for want, got, strange in zip(wanted, found, unlike, strict=True):
        assert float((got - want).norm()) < 0.2 * float(want.norm())
        assert float((strange - want).norm()) > 0.5 * float(want.norm())


def test_singular_values_come_close_to_one():
    matrix = torch.randn(40, 12, generator=torch.Generator().manual_seed(1))
    found = torch.linalg.svdvals(orthogonal(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7))
    assert found.min() > 0.6
    assert found.max() < 1.3


@pytest.mark.parametrize(("precision", "kind"), [("float32", WholeMuon), ("bfloat16", torch.optim.Muon)])
def test_a_run_in_float32_has_it(precision, kind):
    shape = DITConfig(vocab_size=9, hidden_size=8, n_blocks=1, n_heads=2, cond_dim=4, length=4, mask_id=8)
    made = optimizers(DIT(shape), OptimSection(name="muon"), precision)
    assert type(made[1]) is kind
