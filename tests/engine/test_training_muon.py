"""Muon in the parameters' type is torch's but for rounding."""

import pytest
import torch

from engine.models.dit import DIT, DITConfig
from engine.training.muon import GroupedMuon, orthogonal, stacks
from engine.training.optimizers import optimizers
from engine.training.sections import OptimSection

HOW = {"lr": 0.02, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}


def stepped(kind, steps=3):
    generator = torch.Generator().manual_seed(0)
    shapes = [(24, 8), (8, 24), (16, 16), (24, 8), (16, 16)]
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    optimizer = kind(parameters, **HOW)
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return parameters, optimizer


def test_it_moves_as_torchs_does_to_the_rounding_of_bfloat16():
    for ours, torchs in zip(stepped(GroupedMuon)[0], stepped(torch.optim.Muon)[0], strict=True):
        started = stepped(GroupedMuon, steps=0)[0]
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
    ours, optimizer = stepped(GroupedMuon, steps=1)
    own, alone = stepped(GroupedMuon, steps=1)
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


@pytest.mark.parametrize("shape", [(24, 8), (8, 24), (16, 16)])
def test_matrices_together_are_what_each_is_alone(shape):
    several = torch.randn(5, *shape, generator=torch.Generator().manual_seed(2))
    how = (3.4445, -4.7750, 2.0315), 5, 1e-7
    alone = torch.stack([orthogonal(matrix, *how) for matrix in several])
    torch.testing.assert_close(orthogonal(several, *how), alone, rtol=1e-4, atol=1e-5)


def test_a_step_of_several_together_is_that_of_one_by_one(monkeypatch):
    expected = stepped(GroupedMuon)[0]

    def by_shape(parameters):
        shapes = dict.fromkeys(p.shape for p in parameters)
        return [[p for p in parameters if p.shape == shape] for shape in shapes]

    monkeypatch.setattr("engine.training.muon.stacks", by_shape)
    for ours, alone in zip(stepped(GroupedMuon)[0], expected, strict=True):
        torch.testing.assert_close(ours, alone)


def test_matrices_of_one_shape_are_stepped_together_but_on_a_processor():
    shapes = [(4, 2), (2, 4), (4, 2)]
    on_gpu = [torch.empty(shape, device="meta") for shape in shapes]
    assert [[p.shape for p in alike] for alike in stacks(on_gpu)] == [[(4, 2), (4, 2)], [(2, 4)]]
    assert [len(alike) for alike in stacks([torch.empty(shape) for shape in shapes])] == [1, 1, 1]


def test_in_bfloat16_a_step_is_torchs_to_the_last_bit():
    ours, theirs = stepped(lambda p, **how: GroupedMuon(p, torch.bfloat16, **how))[0], stepped(torch.optim.Muon)[0]
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("precision", "dtype"), [("float32", None), ("bfloat16", torch.bfloat16)])
def test_a_run_orthogonalises_in_its_precision(precision, dtype):
    shape = DITConfig(vocab_size=9, hidden_size=8, n_blocks=1, n_heads=2, cond_dim=4, length=4, mask_id=8)
    made = optimizers(DIT(shape), OptimSection(name="muon"), precision)
    assert type(made[1]) is GroupedMuon
    assert made[1]._dtype is dtype
