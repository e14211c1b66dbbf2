"""LLaDA, Dream and their like, from directories in their real layouts: the network, the tokenizer, the refusals."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

import engine
from engine.models import TextModel, memory_check
from engine.models import load_model as load_model_anywhere
from engine.models.chat import chat_of
from engine.models.memory_check import check_room, free_bytes

load_model = partial(load_model_anywhere, device="cpu")
"""Where the networks that they are compared with are."""

SPECIALS = ("<|startoftext|>", "<|endoftext|>", "<|start|>", "<|end|>", "<|mask|>")
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
KNOWN = len(ALPHABET) + len(SPECIALS)
MASK = KNOWN - 1
ROWS = KNOWN + 11
"""of the embedding, which is padded"""
LLADA_TEMPLATE = (
    "{% for m in messages %}{% set c = '<|start|>' + m['role'] + '<|end|>' + m['content'] | trim %}"
    "{% if loop.first %}{% set c = bos_token + c %}{% endif %}{{ c }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>' }}{% endif %}"
)

LLADA = {
    "model_type": "llada", "architectures": ["LLaDAModelLM"], "d_model": 24, "n_heads": 4, "n_kv_heads": 2,
    "n_layers": 2, "mlp_hidden_size": 40, "rope_theta": 500000.0, "rms_norm_eps": 1e-05, "embedding_size": ROWS,
    "vocab_size": ROWS, "max_sequence_length": 64, "weight_tying": False, "include_bias": False,
    "include_qkv_bias": False, "mask_token_id": MASK, "eos_token_id": 1, "activation_type": "silu", "alibi": False,
    "attention_layer_norm": False, "block_type": "llama", "layer_norm_type": "rms", "rope": True,
    "scale_logits": False, "input_emb_norm": False, "multi_query_attention": None, "bias_for_layer_norm": False,
    "auto_map": {"AutoModel": "modeling_llada.LLaDAModelLM"}, "torch_dtype": "bfloat16",
}  # fmt: skip
DREAM = {
    "model_type": "Dream", "architectures": ["DreamModel"], "hidden_size": 24, "num_attention_heads": 4,
    "num_key_value_heads": 2, "num_hidden_layers": 2, "intermediate_size": 40, "rope_theta": 1000000.0,
    "rope_scaling": None, "rms_norm_eps": 1e-06, "vocab_size": ROWS, "max_position_embeddings": 64,
    "tie_word_embeddings": False, "mask_token_id": MASK, "hidden_act": "silu", "use_sliding_window": False,
    "auto_map": {"AutoModel": "modeling_dream.DreamModel"},
}  # fmt: skip
QWEN3 = {
    **{name: value for name, value in DREAM.items() if name not in ("rope_theta", "rope_scaling", "mask_token_id")},
    "model_type": "a2d-qwen3", "architectures": ["A2DQwen3LMHeadModel"], "head_dim": 8, "attention_bias": False,
    "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}, "tie_word_embeddings": True,
}  # fmt: skip

LLADA_NAMES = {
    "embed": "model.transformer.wte.weight", "norm": "model.transformer.ln_f.weight",
    "head": "model.transformer.ff_out.weight", "attn_norm": "model.transformer.blocks.{}.attn_norm.weight",
    "q": "model.transformer.blocks.{}.q_proj.weight", "k": "model.transformer.blocks.{}.k_proj.weight",
    "v": "model.transformer.blocks.{}.v_proj.weight", "o": "model.transformer.blocks.{}.attn_out.weight",
    "mlp_norm": "model.transformer.blocks.{}.ff_norm.weight", "gate": "model.transformer.blocks.{}.ff_proj.weight",
    "up": "model.transformer.blocks.{}.up_proj.weight", "down": "model.transformer.blocks.{}.ff_out.weight",
}  # fmt: skip
QWEN_NAMES = {
    "embed": "model.embed_tokens.weight", "norm": "model.norm.weight", "head": "lm_head.weight",
    "attn_norm": "model.layers.{}.input_layernorm.weight", "q": "model.layers.{}.self_attn.q_proj.weight",
    "k": "model.layers.{}.self_attn.k_proj.weight", "v": "model.layers.{}.self_attn.v_proj.weight",
    "o": "model.layers.{}.self_attn.o_proj.weight", "mlp_norm": "model.layers.{}.post_attention_layernorm.weight",
    "gate": "model.layers.{}.mlp.gate_proj.weight", "up": "model.layers.{}.mlp.up_proj.weight",
    "down": "model.layers.{}.mlp.down_proj.weight",
}  # fmt: skip
BIASES = {f"{x}_bias": f"model.layers.{{}}.self_attn.{x}_proj.bias" for x in "qkv"}
QK_NORMS = {f"{x}_norm": f"model.layers.{{}}.self_attn.{x}_norm.weight" for x in "qk"}
FAMILIES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "LLaDA": (LLADA, LLADA_NAMES),
    "Dream": (DREAM, {**QWEN_NAMES, **BIASES}),
    "diffusion Qwen3": (QWEN3, {**{k: v for k, v in QWEN_NAMES.items() if k != "head"}, **QK_NORMS}),
}


def tensors_of(family: str) -> dict[str, Tensor]:
    """All tensors of a checkpoint by the family's names, float32."""
    config, names = FAMILIES[family]
    dim, mlp = 24, 40
    head = config.get("head_dim", dim // 4)
    shapes = {
        "embed": (ROWS, dim), "head": (ROWS, dim), "q": (4 * head, dim), "k": (2 * head, dim), "v": (2 * head, dim),
        "q_bias": (4 * head,), "k_bias": (2 * head,), "v_bias": (2 * head,), "o": (dim, 4 * head),
        "q_norm": (head,), "k_norm": (head,), "gate": (mlp, dim), "up": (mlp, dim), "down": (dim, mlp),
    }  # fmt: skip
    noise = torch.Generator().manual_seed(8)
    out = {}
    for part, name in names.items():
        for i in range(2) if "{}" in name else [0]:
            values = torch.randn(shapes.get(part, (dim,)), generator=noise)
            out[name.format(i)] = 1 + 0.3 * values if part.endswith("norm") else 0.4 * values
    return out


def bare_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(ALPHABET)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIALS])
    return tokenizer


def write_weights(home: Path, tensors: Mapping[str, Tensor], shards: int = 3) -> None:
    """safetensors in shards with an index, as the hub's."""
    parts = [list(tensors)[i::shards] for i in range(shards)]
    where = {}
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        save_file({name: tensors[name].contiguous() for name in part}, home / file, metadata={"format": "pt"})
        where.update(dict.fromkeys(part, file))
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (home / "model.safetensors.index.json").write_text(json.dumps(index))


def checkpoint(home: Path, family: str, tensors: Mapping[str, Tensor] | None = None, **changed: Any) -> Path:
    """Write a checkpoint into a directory, which is returned."""
    config = {**FAMILIES[family][0], **changed}
    (home / "config.json").write_text(json.dumps(config))
    write_weights(home, tensors_of(family) if tensors is None else tensors)
    bare_tokenizer().save(str(home / "tokenizer.json"))
    named = {"bos_token": SPECIALS[0], "eos_token": {"content": SPECIALS[1]}, "mask_token": SPECIALS[-1]}
    (home / "tokenizer_config.json").write_text(json.dumps({**named, "chat_template": LLADA_TEMPLATE}))
    return home


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Writes a checkpoint's directory."""
    return partial(checkpoint, tmp_path)


def canvas(rows: int = 3, length: int = 13) -> Tensor:
    noise = torch.Generator().manual_seed(5)
    return torch.randint(KNOWN, (rows, length), generator=noise)


def logits_of(model: TextModel, tokens: Tensor) -> Tensor:
    hidden = model.encode(tokens, torch.zeros(len(tokens), dtype=torch.float64))
    return model.project(hidden.flatten(0, 1)).unflatten(0, tokens.shape)


def plain(family: str, tokens: list[int]) -> Tensor:
    """The network written down once more, for one text, in float64 and with loops: logits [L, V]."""
    config, names = FAMILIES[family]
    tensors = tensors_of(family)
    eps, width, length = config["rms_norm_eps"], config.get("head_dim", 6), len(tokens)
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]

    def weight(part: str, i: int = 0) -> Tensor:
        return tensors[names[part].format(i)].double()

    def norm(x: Tensor, w: Tensor) -> Tensor:
        return w * x / (x.square().mean(-1, keepdim=True) + eps).sqrt()

    def heads(part: str, x: Tensor, i: int, count: int) -> list[Tensor]:
        y = torch.einsum("ld,od->lo", x, weight(part, i))
        if f"{part}_bias" in names:
            y = y + weight(f"{part}_bias", i)
        out = [y[:, n * width : (n + 1) * width] for n in range(count)]
        return [norm(h, weight(f"{part}_norm", i)) for h in out] if f"{part}_norm" in names else out

    def turn(h: Tensor) -> Tensor:
        """Pairs (j, j + width / 2) as complex numbers, turned by position * theta^(-2 j / width)."""
        z = torch.complex(h[:, : width // 2], h[:, width // 2 :])
        for position in range(length):
            for j in range(width // 2):
                angle = position * theta ** (-2 * j / width)
                z[position, j] *= complex(math.cos(angle), math.sin(angle))
        return torch.cat((z.real, z.imag), 1)

    x = weight("embed")[tokens]
    for i in range(2):
        n = norm(x, weight("attn_norm", i))
        q, k, v = heads("q", n, i, 4), heads("k", n, i, 2), heads("v", n, i, 2)
        mixed = []
        for h in range(4):
            scores = torch.einsum("id,jd->ij", turn(q[h]), turn(k[h // 2])) / math.sqrt(width)
            mixed.append(torch.einsum("ij,jd->id", torch.softmax(scores, 1), v[h // 2]))
        x = x + torch.einsum("lo,do->ld", torch.cat(mixed, 1), weight("o", i))
        n = norm(x, weight("mlp_norm", i))
        gate, up = (torch.einsum("ld,md->lm", n, weight(part, i)) for part in ("gate", "up"))
        x = x + torch.einsum("lm,dm->ld", gate / (1 + torch.exp(-gate)) * up, weight("down", i))
    return torch.einsum("ld,vd->lv", norm(x, weight("norm")), weight("head" if "head" in names else "embed"))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_logits_are_those_of_a_plain_network(make: Callable[..., Path], family: str) -> None:
    model = load_model(str(make(family)))
    assert model.info.kind == family
    tokens = canvas()
    got = logits_of(model, tokens)
    for row in range(len(tokens)):
        expected = plain(family, tokens[row].tolist())
        if family == "Dream":
            expected = torch.cat((expected[:1], expected[:-1]))
        assert expected.std() > 0.5
        torch.testing.assert_close(got[row, :, :KNOWN].double(), expected[:, :KNOWN], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_of_the_file_matters(make: Callable[..., Path], family: str) -> None:
    tokens, before = canvas(1), logits_of(load_model(str(make(family))), canvas(1))
    for name in tensors_of(family):
        # what a key's bias adds to all scores of a query alike is invisible, so a part of it is changed
        changed = tensors_of(family)
        changed[name].flatten()[::2] *= 1.5
        assert not torch.allclose(logits_of(load_model(str(make(family, changed))), tokens), before, atol=1e-4), name


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_chosen_rows_are_those_of_the_whole(make: Callable[..., Path], family: str, dtype: str) -> None:
    model, tokens, t = load_model(str(make(family)), dtype=dtype), canvas(4), torch.zeros(4)
    where = torch.zeros(4, 13, dtype=torch.bool)
    where[0, [0, 1, 2, 12]], where[1, 7], where[3, ::2] = True, True, True
    tolerance = 1e-4 if dtype == "float32" else 0.1
    for rows in ([0], [1], [0, 1, 2, 3]):
        got = model.encode_rows(tokens[rows], t[rows], where[rows])
        expected = model.encode(tokens[rows], t[rows])[where[rows]]
        assert got.dtype == expected.dtype == getattr(torch, dtype)
        torch.testing.assert_close(got, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_is_close(make: Callable[..., Path], family: str) -> None:
    home = make(family, {name: tensor.bfloat16() for name, tensor in tensors_of(family).items()})
    exact, model = (load_model(str(home), dtype=dtype) for dtype in ("float32", "bfloat16"))
    expected, got = (logits_of(m, canvas())[:, :, :KNOWN].float() for m in (exact, model))
    assert model.info.dtype == "bfloat16"
    assert (got - expected).abs().mean() < 0.05 * expected.std()


@pytest.mark.parametrize("family", ["LLaDA", "Dream"])
def test_transformers_own_network_without_its_causal_mask_agrees(make: Callable[..., Path], family: str) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    shape: dict[str, Any] = {name: DREAM[name] for name in (
        "hidden_size", "num_attention_heads", "num_key_value_heads", "num_hidden_layers", "intermediate_size",
        "vocab_size", "tie_word_embeddings",
    )}  # fmt: skip
    own = FAMILIES[family][0]
    rope = {"rope_theta": own["rope_theta"], "rope_type": "default"}
    shape |= {"rms_norm_eps": own["rms_norm_eps"], "rope_parameters": rope}
    theirs = LlamaForCausalLM(LlamaConfig(**shape)) if family == "LLaDA" else Qwen2ForCausalLM(Qwen2Config(**shape))
    by_part = {
        v.format(i): QWEN_NAMES.get(k, BIASES.get(k, "")).format(i)
        for k, v in FAMILIES[family][1].items()
        for i in (0, 1)
    }
    theirs.load_state_dict({by_part[name]: tensor for name, tensor in tensors_of(family).items()}, strict=True)
    tokens = canvas()
    with torch.no_grad():
        expected = theirs.eval()(tokens, attention_mask=torch.zeros(3, 1, 13, 13)).logits
        causal = theirs(tokens).logits
    if family == "Dream":
        expected = torch.cat((expected[:, :1], expected[:, :-1]), 1)
    assert not torch.allclose(expected, causal, atol=0.1)
    got = logits_of(load_model(str(make(family))), tokens)
    torch.testing.assert_close(got[:, :, :KNOWN], expected[:, :, :KNOWN], atol=1e-4, rtol=1e-4)


def test_rows_of_the_vocabulary_that_are_no_tokens_are_never_proposed(make: Callable[..., Path]) -> None:
    model = load_model(str(make("LLaDA")))
    logits = logits_of(model, canvas())
    assert model.vocab_size == ROWS
    assert torch.isinf(logits[:, :, KNOWN:]).all()
    assert torch.isfinite(logits[:, :, :KNOWN]).all()
    for draw in ("inverse-cdf", "gumbel-float64"):
        ids = engine.sample(
            model, engine.make_strategy("mdlm"), steps=4, length=30, count=8, temperature=5.0, draw=draw
        )
        assert (ids < KNOWN).all()
    assert any("ids of the vocabulary are not tokens" in note for note in model.info.notes)


def test_llada_answers_a_prompt_in_blocks(make: Callable[..., Path]) -> None:
    model = load_model(str(make("LLaDA")))
    prompt = model.prompt(" hi ", chat=True)
    text = "<|startoftext|><|start|>user<|end|>hi<|start|>assistant<|end|>"
    assert model.codec.decode(prompt) == text
    assert len(prompt) == 5 + len("userhiassistant")
    assert len(model.prompt("<|end|>")) == len("<|end|>")
    length = len(prompt) + 16
    shape: dict[str, Any] = {"steps": 8, "length": length, "prompt": prompt, "block_length": 8, "temperature": 0.0}
    ids = engine.sample(model, engine.make_strategy("low-confidence"), **shape)
    assert ids[0, : len(prompt)].tolist() == prompt
    assert not (ids == MASK).any()


def test_the_loading_is_reported_in_bytes(make: Callable[..., Path]) -> None:
    reports: list[tuple[str, int, int]] = []
    load_model(str(make("LLaDA")), progress=lambda *what: reports.append(what))
    total = sum(t.numel() * 4 for t in tensors_of("LLaDA").values())
    assert reports[-1] == ("reading weights", total, total)
    assert len(reports) == len(tensors_of("LLaDA"))


def test_a_copy_of_a_tied_head_and_old_frequencies_are_ignored_and_named(make: Callable[..., Path]) -> None:
    tensors = tensors_of("LLaDA")
    tensors["model.transformer.blocks.0.rotary_emb.inv_freq"] = torch.ones(3)
    model = load_model(str(make("LLaDA", tensors, weight_tying=True)))
    notes = "; ".join(model.info.notes)
    assert "model.transformer.ff_out.weight" in notes
    assert "rotary_emb.inv_freq" in notes
    assert "the head is the embedding" in notes
    hidden = model.encode(canvas(), torch.zeros(3))[0]
    expected = hidden @ tensors["model.transformer.wte.weight"].T
    torch.testing.assert_close(model.project(hidden)[:, :KNOWN], expected[:, :KNOWN])


def _without(name: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors_of("LLaDA").items() if key != name}


Q = "model.transformer.blocks.1.q_proj.weight"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (_without(Q), rf"{Q} is missing"),
        ({**_without(Q), Q.replace("proj", "prj"): torch.ones(24, 24)}, rf"{Q} is missing \(nearest: .*q_prj.weight\)"),
        ({**_without(Q), Q: torch.ones(24, 12)}, rf"{Q} has shape \[24, 12\], expected \[24, 24\]"),
        ({**tensors_of("LLaDA"), "extra.weight": torch.ones(1)}, "extra.weight is unexpected"),
    ],
    ids=["missing", "misspelt", "misshapen", "unexpected"],
)
def test_weights_that_do_not_fit_are_named(make: Callable[..., Path], tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_model(str(make("LLaDA", tensors)))


@pytest.mark.parametrize(
    ("family", "changed", "message"),
    [
        ("LLaDA", {"n_heads": 5}, "a hidden size that splits into its heads, not 24 and 5"),
        ("LLaDA", {"n_layers": 10**9}, "n_layers must be a whole number in 1 to 1024"),
        ("LLaDA", {"n_layers": 900}, "claims 900 layers"),
        ("LLaDA", {"d_model": 1 << 40, "n_heads": 1 << 10}, "must be a whole number in 1 to"),
        ("LLaDA", {"embedding_size": "many"}, "wrong type|whole number"),
        ("LLaDA", {"mlp_hidden_size": None, "mlp_ratio": None}, "wrong type"),
        ("LLaDA", {"rms_norm_eps": float("nan")}, "eps must be a positive number, not nan"),
        ("LLaDA", {"n_kv_heads": 3}, "4 heads must share 3 key heads evenly"),
        ("LLaDA", {"alibi": True}, "alibi = True, which the native network does not do"),
        ("LLaDA", {"layer_norm_type": "default"}, "layer_norm_type = 'default'"),
        ("LLaDA", {"mask_token_id": ROWS}, f"the mask's id must lie in 0 to {ROWS - 1}, not {ROWS}"),
        ("LLaDA", {"embedding_size": KNOWN - 1}, f"the tokenizer has {KNOWN} tokens, the model {KNOWN - 1}"),
        ("LLaDA", {"num_experts": 8}, "is a mixture of experts"),
        ("Dream", {"rope_scaling": {"rope_type": "yarn"}}, "rope_type = 'yarn'"),
        ("Dream", {"use_sliding_window": True}, "use_sliding_window = True"),
        ("Dream", {"model_type": "sdar"}, r"\(sdar\) attends block by block.*--trust-remote-code"),
        ("Dream", {"model_type": "rnd1"}, r"\(rnd1\) is a mixture of experts.*--trust-remote-code"),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be_is_refused(
    make: Callable[..., Path], family: str, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_model(str(make(family, **changed)))


def test_the_mask_is_looked_for_where_it_may_be(make: Callable[..., Path]) -> None:
    home = make("LLaDA", mask_token_id=None)
    assert load_model(str(home)).mask_id == MASK
    assert load_model(str(home), mask_id=7).mask_id == 7
    settings = json.loads((home / "tokenizer_config.json").read_text())
    del settings["mask_token"]
    (home / "tokenizer_config.json").write_text(json.dumps(settings))
    text = (home / "tokenizer.json").read_text()
    assert load_model(str(home)).mask_id == MASK
    (home / "tokenizer.json").write_text(text.replace("<|mask|>", "<|gap|>"))
    with pytest.raises(ValueError, match="does not say which token is its mask: give its id with --mask-id"):
        load_model(str(home))


def test_a_missing_tokenizer_is_reported(make: Callable[..., Path]) -> None:
    home = make("LLaDA")
    kept = (home / "tokenizer.json").rename(home / "elsewhere.json")
    with pytest.raises(ValueError, match="--tokenizer"):
        load_model(str(home))
    assert load_model(str(home), tokenizer=str(kept)).codec.size == KNOWN


def test_dreams_tokenizer_is_read_from_its_older_files(make: Callable[..., Path]) -> None:
    """vocab.json and merges.txt, special tokens in the configuration, and code that must not be asked for."""
    home = make("Dream")
    (home / "tokenizer.json").unlink()
    (home / "vocab.json").write_text(json.dumps({c: i for i, c in enumerate([*ALPHABET, "th"])}))
    (home / "merges.txt").write_text("#version: 0.2\nt h\n")
    added = {str(len(ALPHABET) + 1 + i): {"content": name, "special": True} for i, name in enumerate(SPECIALS)}
    settings = {
        "tokenizer_class": "DreamTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]},
        "added_tokens_decoder": added,
        "mask_token": SPECIALS[-1],
        "chat_template": "{{ messages[0]['content'] }}<|end|>",
    }
    (home / "tokenizer_config.json").write_text(json.dumps(settings))
    model = load_model(str(home), mask_id=KNOWN)
    th, t, h = (model.codec.encode(text) for text in ("th", "t", "h"))
    assert th == [len(ALPHABET)]
    assert model.codec.encode("ht") == h + t
    assert model.prompt("th", chat=True) == [*th, len(ALPHABET) + 1 + SPECIALS.index("<|end|>")]
    assert model.codec.decode(model.codec.encode("that is 12 %")) == "that is 12 %"
    assert model.codec.encode("<|mask|>", special=True) == [KNOWN]


def test_a_model_without_a_template_has_no_chat(make: Callable[..., Path]) -> None:
    home = make("LLaDA")
    (home / "tokenizer_config.json").unlink()
    model = load_model(str(home))
    with pytest.raises(ValueError, match="has no chat template"):
        model.prompt("hi", chat=True)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("chat_template.jinja", "<{{ messages[0].content }}>"),
        ("chat_template.json", json.dumps({"chat_template": "<{{ messages[0].content }}>"})),
        (
            "tokenizer_config.json",
            json.dumps({"chat_template": [
                {"name": "tool", "template": "no"}, {"name": "default", "template": "<{{ messages[0].content }}>"},
            ]}),
        ),
    ],
    ids=["jinja", "json", "several"],
)  # fmt: skip
def test_a_template_is_found_wherever_it_lies(tmp_path: Path, file: str, content: str) -> None:
    (tmp_path / file).write_text(content)
    chat = chat_of(tmp_path)
    assert chat is not None
    assert chat("hi") == "<hi>"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{% for i in range(10 ** 9) %}x{% endfor %}",
        "{{ raise_exception('no') }}",
        "{{ nothing.at.all }}",
        "{% if %}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_malicious_or_broken_template_is_one_clear_error(tmp_path: Path, template: str) -> None:
    (tmp_path / "chat_template.jinja").write_text(template)
    chat = chat_of(tmp_path)
    assert chat is not None
    with pytest.raises(ValueError, match=r"chat template of .* cannot be rendered"):
        chat("hi")


def test_a_model_too_large_is_refused_before_anything_is_read(
    make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, reports = make("LLaDA"), []
    monkeypatch.setattr(memory_check, "free_bytes", lambda device: 20_000)
    with pytest.raises(ValueError, match=r"the weights need 0\.00 GiB on cpu and 0\.00 GiB are free there"):
        load_model(str(home), progress=lambda *what: reports.append(what))
    assert reports == []


def test_room_is_what_the_machine_says() -> None:
    cpu = torch.device("cpu")
    free = free_bytes(cpu)
    assert free is not None
    assert 1 << 20 < free < 1 << 50
    check_room(1 << 20, cpu)
    with pytest.raises(ValueError, match=r"need 1048576\.00 GiB on cpu and \d+\.\d\d GiB are free there"):
        check_room(1 << 50, cpu)


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    for name, text in (("max", "1000"), ("current", "900"), ("stat", "anon 5\ninactive_file 250\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert memory_check._left_in_cgroup(tmp_path) == 350
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_check._left_in_cgroup(tmp_path) is None


CODE = """
import torch
from pathlib import Path
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput

Path({marker!r}).touch()

class OddConfig(PretrainedConfig):
    model_type = "odd"

class OddModel(PreTrainedModel):
    config_class = OddConfig

    def __init__(self, config):
        super().__init__(config)
        self.table = torch.nn.Parameter(torch.zeros(config.vocab_size, config.vocab_size))
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, input_ids=None, **ignored):
        return MaskedLMOutput(logits=self.table[input_ids])
"""


@pytest.fixture
def odd(make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of a kind of its own, whose code leaves a mark where it runs."""
    from transformers import dynamic_module_utils

    modules = tmp_path / "modules"
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(modules))
    monkeypatch.syspath_prepend(str(modules))
    home = make("LLaDA")
    names = {"AutoConfig": "odd_code.OddConfig", "AutoModel": "odd_code.OddModel"}
    config = {"model_type": "odd", "auto_map": names, "vocab_size": ROWS, "max_sequence_length": 32}
    (home / "config.json").write_text(json.dumps(config))
    (home / "odd_code.py").write_text(CODE.format(marker=str(home / "ran")))
    (home / "model.safetensors.index.json").unlink()
    save_file({"table": torch.randn(ROWS, ROWS)}, home / "model.safetensors", metadata={"format": "pt"})
    return home


def test_code_of_a_checkpoint_runs_only_when_that_is_requested(odd: Path) -> None:
    with pytest.raises(ValueError, match="add --trust-remote-code to this command if you trust"):
        load_model(str(odd))
    assert not (odd / "ran").exists()
    model = load_model(str(odd), trust_remote_code=True)
    assert (odd / "ran").exists()
    assert (model.vocab_size, model.mask_id, model.max_length) == (ROWS, MASK, 32)
    assert [path.name for path in model.outside] == ["odd_code.py"]
    ids = engine.sample(model, engine.make_strategy("remdm-cap"), steps=5, length=12, count=3)
    assert (ids < KNOWN).all()
    assert not (ids == MASK).any()


def test_a_known_layout_is_native_even_where_its_code_is_trusted(make: Callable[..., Path]) -> None:
    model = load_model(str(make("LLaDA")), trust_remote_code=True)
    assert model.info.kind == "LLaDA"


def test_weights_that_code_would_make_up_are_missing(odd: Path) -> None:
    save_file({"tables": torch.randn(ROWS, ROWS)}, odd / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="has no weights for table, which its code would make up"):
        load_model(str(odd), trust_remote_code=True)


def test_code_that_fails_is_one_clear_error(odd: Path) -> None:
    (odd / "odd_code.py").write_text("raise RuntimeError('out of date')")
    with pytest.raises(ValueError, match=r"the code of .* failed: .*out of date"):
        load_model(str(odd), trust_remote_code=True)
