"""Models and tokenizers of the transformers library, from files on this machine alone.

The library builds the network and says which tensor goes where; the files are opened by `engine.models.files`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from engine.models.attention import choose_attention
from engine.models.files import Weights, check_claim, check_shapes, open_weights
from engine.models.loading import LoadRequest
from engine.models.memory_check import check_room
from engine.system.foreign import is_panic, silent_panics

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

NEEDLESS = {
    r"position_ids$": "a buffer",
    r"rotary_emb(eddings)?\.inv_freq$": "a buffer",
    r"(^|\.)h\.\d+\.attn\.(attention\.)?(masked_)?bias$": "a buffer",
    r"(^|\.)pooler\.": "the pooler, which no token's prediction goes through",
    r"(^|\.)contact_head\.": "ESM's contact head",
    r"^cls\.seq_relationship\.": "BERT's head for the next sentence",
    r"^cls\.(species|chain|graft)\.": "AntiBERTy's heads for whole chains",
    r"^discriminator_predictions\.": "ELECTRA's other head",
}
"""Tensors whose absence or presence changes no prediction, by name, and what they are."""
ATTENTION = {"flash4": "flash_attention_4", "flash2": "flash_attention_2", "written": "eager", "sdpa": "sdpa"}
"""The library's names of ours."""
SILENT = 100
"""A level of logging above all others."""
BUFFER_NUMBERS = 1 << 24
"""Numbers that a network may have without a file of them: buffers that it computes."""


class LoadedNetwork(NamedTuple):
    """A network with its weights."""

    model: PreTrainedModel
    attention: str
    notes: tuple[str, ...]


@contextmanager
def plain_errors(name: str) -> Iterator[None]:
    """Turn what the library raises into one sentence, and silence its own log.

    What it logs of missing and unexpected weights is read off its account of the load instead.  Warnings of others and
    whatever else is written to standard error meanwhile stay.
    """
    from transformers.utils import logging as untyped

    logging: Any = untyped
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(SILENT)
    logging.disable_progress_bar()
    try:
        with silent_panics():
            yield
    except BaseException as error:  # its parsers raise whatever they come upon, and panic
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        kind = "" if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"{name} cannot be loaded: {kind}{' '.join(str(error).split())[:300]}") from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def gguf_file(home: Path) -> Path | None:
    """Return the GGUF file that `home` is, or the only one in it.  Raises ValueError where there are several."""
    if home.is_file():
        return home if home.suffix == ".gguf" else None
    found = sorted(home.glob("*.gguf"))
    if len(found) > 1:
        raise ValueError(f"{home} holds {len(found)} GGUF files: give one of them, such as {found[0]}")
    return found[0] if found else None


def library_config(request: LoadRequest) -> PreTrainedConfig:
    """Return the configuration, from config.json or a GGUF file's head."""
    from transformers import AutoConfig

    where = _places(request.home, _gguf_of(request))
    with plain_errors(request.name):
        return AutoConfig.from_pretrained(**where, local_files_only=True, trust_remote_code=request.trust_remote_code)


def load_network(request: LoadRequest, config: PreTrainedConfig, head: str) -> LoadedNetwork:
    """Return the network of a configuration with its weights, on its device and without gradients.

    head: MaskedLM or CausalLM.  Raises ValueError that names the tensors that do not fit.
    """
    gguf = _gguf_of(request)
    if gguf is None and getattr(config, "quantization_config", None):
        raise ValueError(f"{request.name} has quantised weights, which are not read: take one in float32 or bfloat16")
    kind = _class_of(request, config, head)
    weights = open_weights(request.home) if gguf is None else None
    if weights is not None:
        check_claim(_layers(config), weights)
    blank, attention = _fitting(request, kind, config)
    if weights is not None:
        _check_claim(blank, weights)
    check_room(blank.num_parameters() * request.dtype.itemsize, request.device)
    arguments = {
        "config": config,
        "torch_dtype": request.dtype,
        "attn_implementation": ATTENTION[attention],
        "output_loading_info": True,
        "ignore_mismatched_sizes": True,  # they are reported with what else does not fit
        "local_files_only": True,
    }
    notes: tuple[str, ...]
    if weights is not None:
        tensors = _tensors(request, weights)
        with plain_errors(request.name):
            model, info = kind.from_pretrained(None, state_dict=tensors, **arguments)
        notes = (*_check(info), *_tied(model, weights))
    else:
        assert gguf is not None
        model, info = _from_gguf(request, kind, gguf, arguments)
        notes = (*_check(info), f"dequantised from {gguf.name}")
    return LoadedNetwork(model.to(request.device).eval().requires_grad_(False), attention, notes)


def _class_of(request: LoadRequest, config: PreTrainedConfig, head: str) -> Any:
    """Return the library's class for a configuration, or the checkpoint's own where its code may run."""
    from transformers.models.auto import modeling_auto

    mapping = {"MaskedLM": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING,
               "CausalLM": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING}[head]  # fmt: skip
    own = (getattr(config, "auto_map", None) or {}).get(f"AutoModelFor{head}")
    if own and request.trust_remote_code:
        from transformers.dynamic_module_utils import get_class_from_dynamic_module

        with plain_errors(request.name):
            return get_class_from_dynamic_module(own, str(request.home), local_files_only=True)
    if type(config) not in mapping:
        raise ValueError(f"{request.name}: transformers has no {head} for a model of type {config.model_type!r}")
    found = mapping[type(config)]
    return found[0] if isinstance(found, tuple) else found


def _fitting(request: LoadRequest, kind: Any, config: PreTrainedConfig) -> tuple[PreTrainedModel, str]:
    """Return the network without numbers, and the attention requested, or for `auto` the best that it knows."""
    name, _ = choose_attention(request.attention, request.device, request.dtype)
    names = list(dict.fromkeys((name, "sdpa", "written") if request.attention == "auto" else (name,)))
    for candidate in names:
        try:
            with plain_errors(request.name), torch.device("meta"):
                return kind._from_config(config, attn_implementation=ATTENTION[candidate]), candidate
        except ValueError:
            if candidate == names[-1]:
                raise
    raise AssertionError("no attention was tried")


def _tensors(request: LoadRequest, weights: Weights) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    done = 0
    for name in weights.shapes:
        tensors[name] = weights.get(name)
        done += tensors[name].nbytes
        request.progress("reading weights", done, weights.total_bytes)
    return tensors


def _from_gguf(
    request: LoadRequest, kind: Any, gguf: Path, arguments: Mapping[str, Any]
) -> tuple[PreTrainedModel, dict[str, Any]]:
    size = gguf.stat().st_size
    request.progress("reading weights", 0, size)
    with plain_errors(request.name), redirect_stderr(StringIO()):  # it draws a bar
        loaded = kind.from_pretrained(**_places(request.home, gguf), **arguments)
    request.progress("reading weights", size, size)
    return loaded


def _gguf_of(request: LoadRequest) -> Path | None:
    """Return the GGUF file that is to be read, where there is no config.json; ValueError where packages for it are
    lacking.
    """
    gguf = None if (request.home / "config.json").is_file() else gguf_file(request.home)
    lacking = [package for package in ("gguf", "accelerate") if gguf is not None and find_spec(package) is None]
    if lacking:
        raise ValueError(f"{gguf} is a GGUF file, which needs more packages: pip install {' '.join(lacking)}")
    return gguf


def _places(home: Path, gguf: Path | None) -> dict[str, str]:
    """Return where the library is to look."""
    directory = {"pretrained_model_name_or_path": str(gguf.parent if gguf is not None else home)}
    return directory | ({"gguf_file": gguf.name} if gguf is not None else {})


def _layers(config: PreTrainedConfig) -> int:
    layers = getattr(config, "num_hidden_layers", 0)
    return layers if isinstance(layers, int) else 0


def _check_claim(blank: PreTrainedModel, weights: Weights) -> None:
    """Raise ValueError for a network far larger than its file, before any memory is taken for it."""
    held = sum(torch.Size(shape).numel() for shape in weights.shapes.values())
    claimed = sum(tensor.numel() for tensor in (*blank.parameters(), *blank.buffers()))
    if claimed > 2 * held + BUFFER_NUMBERS:
        raise ValueError(
            f"the weights do not fit the configuration: it claims {claimed:,} numbers, {weights.path} has {held:,}"
        )


def _check(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what was left out knowingly, from the library's account of a load; ValueError names what does not fit."""
    missing = [name for name in sorted(info["missing_keys"]) if not _needless(name)]
    unexpected = [name for name in sorted(info["unexpected_keys"]) if not _needless(name)]
    shapes = {name: (tuple(expected), tuple(found)) for name, found, expected in info["mismatched_keys"]}
    check_shapes(
        {**dict.fromkeys(missing, ()), **{name: expected for name, (expected, _) in shapes.items()}},
        {**dict.fromkeys(unexpected, ()), **{name: found for name, (_, found) in shapes.items()}},
    )
    if info.get("error_msgs"):
        raise ValueError(f"the weights do not fit the configuration: {' '.join(map(str, info['error_msgs']))[:300]}")
    ignored: dict[str, list[str]] = {}
    for name in sorted(info["unexpected_keys"]):
        ignored.setdefault(str(_needless(name)), []).append(name)
    return tuple(f"ignored {what}: {names[0]}{_more(names)}" for what, names in ignored.items())


def _needless(name: str) -> str | None:
    return next((what for pattern, what in NEEDLESS.items() if re.search(pattern, name)), None)


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _tied(model: PreTrainedModel, weights: Weights) -> tuple[str, ...]:
    """Return tensors that the file leaves out because they are another's."""
    where: dict[int, str] = {}
    state = model.state_dict()
    for name in sorted(state, key=lambda name: name not in weights.shapes):
        where.setdefault(state[name].data_ptr(), name)
    tied = [f"{name} is tied to {where[state[name].data_ptr()]}" for name in state if name not in weights.shapes]
    return tuple(line for line in tied if len(set(line.split(" is tied to "))) == 2)
