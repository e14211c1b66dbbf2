"""The shadow block of WINO: the plain network over text and shadows, what a shadow cannot see, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.models.dit import DIT, DITConfig
from engine.models.folded import FoldedDIT
from engine.models.llama import Bidirectional, Body, LlamaShape
from engine.models.protocol import ShadowDenoiser, has_shadows
from engine.models.time_conditioned import TimedDIT
from engine.records import Change
from engine.sampling.batch import samples
from engine.sampling.session import Session
from engine.strategies import make_strategy
from tests.engine import plain_dit
from tests.engine.toys import Toy

VOCAB, LENGTH, MASK, BATCH = 12, 9, 11, 8
NOISE = torch.tensor([0.3, 0.7])
CONFIG = DITConfig(vocab_size=VOCAB, hidden_size=12, n_blocks=2, n_heads=3, cond_dim=6, length=LENGTH, mask_id=MASK)
SHAPE = LlamaShape(VOCAB, 12, 2, n_heads=2, n_kv_heads=1, head_dim=6, mlp_size=20, max_length=LENGTH)


def dit(layers: int = 2, timed: bool = False) -> DIT:
    noise = torch.Generator().manual_seed(4)
    model = DIT(replace(CONFIG, n_blocks=layers, time_conditioning=timed))
    for name, p in model.named_parameters():
        p.data = torch.randn(p.shape, generator=noise) * 0.5 + (1.0 if "norm" in name else 0.0)
    return model.eval().requires_grad_(False)


def llama(layers: int = 2, **more: Any) -> Bidirectional:
    noise = torch.Generator().manual_seed(6)
    body = Body(replace(SHAPE, n_layers=layers, **more))
    for name, p in body.named_parameters():
        p.data = torch.randn(p.shape, generator=noise) * 0.5 + (1.0 if "norm" in name else 0.0)
    return Bidirectional(body, MASK)


def network(kind: str, layers: int = 2) -> Any:
    if kind == "timed":
        return TimedDIT(dit(layers, timed=True))
    return FoldedDIT(dit(layers)) if kind == "dit" else llama(layers)


def canvas() -> tuple[Tensor, Tensor]:
    """Two texts with masks, and blocks of different lengths at different places."""
    tokens = torch.randint(MASK, (2, LENGTH), generator=torch.Generator().manual_seed(5))
    tokens[0, [2, 6]] = tokens[1, [5, 8]] = MASK
    block = torch.zeros(2, LENGTH, dtype=torch.bool)
    block[0, 2:7] = block[1, 5:] = True
    return tokens, block


def test_shadows_are_the_plain_network_over_text_and_shadows() -> None:
    model, (tokens, block) = dit(), canvas()
    weights = {name: p.double().numpy() for name, p in model.state_dict().items()}
    folded = FoldedDIT(model)
    got = folded.project(folded.encode_shadow(tokens, torch.zeros(2), block, block)).double().numpy()
    want = []
    for row, inside in zip(tokens.tolist(), block.tolist(), strict=True):
        shadows = [place for place in range(LENGTH) if inside[place]]
        places, whole = [*range(LENGTH), *shadows], row + [MASK] * len(shadows)
        sees = np.zeros((len(whole), len(whole)), bool)
        for i in range(len(whole)):
            for j in range(len(whole)):
                sees[i, j] = j < LENGTH if i < LENGTH else j >= LENGTH or j != places[i]
        out = plain_dit.logits(weights, whole, CONFIG.n_heads, 0.0, places=places, sees=sees)
        for number, place in enumerate(shadows):
            want.append(out[place if row[place] == MASK else LENGTH + number])
    np.testing.assert_allclose(got, np.stack(want), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("kind", ["dit", "timed", "llama"])
def test_in_one_layer_the_shadow_of_one_position_is_the_network_that_sees_a_mask_there(kind: str) -> None:
    model, (tokens, _) = network(kind, layers=1), canvas()
    for place in (0, 3, 7):
        only = torch.zeros_like(tokens).bool()
        only[:, place] = True
        got = model.encode_shadow(tokens, NOISE, only, only)
        want = model.encode(tokens.masked_fill(only, MASK), NOISE)[:, place]
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["dit", "timed", "llama"])
def test_masks_are_read_as_without_shadows_and_a_batch_as_its_rows(kind: str) -> None:
    model, (tokens, block) = network(kind), canvas()
    masks = tokens == MASK
    assert isinstance(model, ShadowDenoiser)
    got = model.encode_shadow(tokens, NOISE, masks, block)
    torch.testing.assert_close(got, model.encode(tokens, NOISE)[masks], rtol=1e-4, atol=1e-5)
    both = model.encode_shadow(tokens, NOISE, block, block)
    alone = [model.encode_shadow(*(part[i : i + 1] for part in (tokens, NOISE, block, block))) for i in (0, 1)]
    torch.testing.assert_close(both, torch.cat(alone), rtol=1e-4, atol=1e-5)
    other = tokens.clone()
    other[0, 3] = (other[0, 3] + 1) % MASK
    changed = model.encode_shadow(other, NOISE, block, block)
    assert not torch.allclose(changed[0], both[0], atol=1e-3)


@pytest.mark.parametrize("kind", ["dit", "timed", "llama"])
def test_wino_verifies_in_one_call_where_the_model_has_shadows_and_by_rows_if_told_to(kind: str) -> None:
    model: Any = network(kind)
    shape: dict[str, Any] = {"steps": 30, "length": LENGTH, "seed": 3, "prompt": [1, 2]}
    frames = list(Session(model, make_strategy("wino", threshold=0.1), batch=BATCH, **shape))
    assert any(frame.count(Change.REMASKED) for frame in frames)
    called = np.diff([0, *(frame.network_calls for frame in frames)])
    assert called.max() == BATCH
    exact = list(Session(model, make_strategy("wino", threshold=0.1, verify="exact"), batch=BATCH, **shape))
    assert np.diff([0, *(frame.network_calls for frame in exact)]).max() > BATCH
    packed = samples(model, make_strategy("wino", threshold=0.1, verify="shadow"), range(BATCH), width=3, **shape)
    for done in packed:
        assert done.tokens.tolist() == frames[-1].tokens[done.number].tolist()


def test_the_informed_corrector_leaves_out_by_rows_unless_told_to_take_shadows() -> None:
    model: Any = network("dit")
    calls: dict[str, int] = {}
    for verify in ("exact", "shadow", "auto"):
        corrector = make_strategy("informed-corrector", corrections=2, verify=verify)
        frames = list(Session(model, corrector, steps=9, length=LENGTH, batch=BATCH, seed=3))
        assert any(frame.count(Change.EDITED) for frame in frames)
        calls[verify] = np.diff([0, *(frame.network_calls for frame in frames)]).max()
    assert calls["exact"] > calls["shadow"] == calls["auto"] == BATCH
    assert make_strategy("informed-corrector").verification() == "exact"


def test_shadows_are_refused_by_name_where_the_model_has_none() -> None:
    shadowed = make_strategy("wino", verify="shadow")
    with pytest.raises(ValueError, match=r"wino verifies by a shadow block, which the model .* --knob verify=exact"):
        Session(Toy(), shadowed, steps=4, length=4)
    with pytest.raises(ValueError, match="wino verifies by a shadow block"):
        list(samples(Toy(), shadowed, range(1), steps=4, length=4))
    session = Session(Toy(), make_strategy("wino"), steps=4, length=4)
    with pytest.raises(ValueError, match="wino verifies by a shadow block"):
        session.set(strategy=shadowed)
    assert has_shadows(llama())
    assert not has_shadows(llama(shifted=True))
