"""Weight files as the field writes them: what is in them is read, and what does not fit a network is named."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
import types
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path, PosixPath
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.models.files import (
    LazyTensor,
    PickledWeights,
    check_claim,
    check_shapes,
    fill,
    open_weights,
    plain,
    read_pickle,
)
from engine.models.files.containers import Stub
from tests.engine.malicious import refused, resident, small

CPU = torch.device("cpu")
FORMATS: dict[str, dict[str, Any]] = {
    "zip": {},
    "zip, protocol 4": {"pickle_protocol": 4},
    "zip, protocol 5": {"pickle_protocol": 5},
    "before 1.6": {"_use_new_zipfile_serialization": False},
    "before 1.6, protocol 4": {"_use_new_zipfile_serialization": False, "pickle_protocol": 4},
}
DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int64,
    torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool,
]  # fmt: skip


def bits(tensor: Tensor) -> list[int]:
    return tensor.contiguous().view(-1).view(torch.uint8).tolist()


def varied() -> dict[str, Tensor]:
    """Tensors of every type, of every number of dimensions, views of one another."""
    noise = torch.Generator().manual_seed(3)
    base = torch.randn(6, 10, generator=noise)
    kinds = {f"of.{dtype}": torch.randint(0, 2, (3, 5), generator=noise).to(dtype) for dtype in DTYPES}
    views = {"rows": base[2:4], "columns": base[:, 3:5], "turned": base.t(), "last": base[-1, -1], "all": base}
    return {**kinds, **views, "none": torch.empty(0, 4), "many": torch.randn(2, 1, 3, 1, 2, generator=noise)}


@pytest.mark.parametrize("name", FORMATS)
def test_torch_files_hold_what_was_saved(tmp_path: Path, name: str) -> None:
    path, tensors = tmp_path / "a.bin", varied()
    torch.save(tensors, path, **FORMATS[name])
    weights = open_weights(path)
    assert dict(weights.shapes) == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    assert weights.total_bytes == sum(tensor.nbytes for tensor in tensors.values())
    for name, tensor in tensors.items():
        got = weights.get(name)
        assert (got.dtype, got.stride()) == (tensor.dtype, tensor.stride()), name
        assert bits(got) == bits(tensor), name


def test_safetensors_files_hold_what_was_saved(tmp_path: Path) -> None:
    tensors = {name: tensor.contiguous().clone() for name, tensor in varied().items()}
    save_file(tensors, tmp_path / "a.safetensors", {"format": "pt"})
    weights = open_weights(tmp_path / "a.safetensors")
    assert weights.shapes == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    assert weights.total_bytes == sum(tensor.nbytes for tensor in tensors.values())
    for name, tensor in tensors.items():
        assert weights.get(name).dtype == tensor.dtype
        assert bits(weights.get(name)) == bits(tensor), name


def test_parameters_are_tensors(tmp_path: Path) -> None:
    marked = nn.Parameter(torch.ones(2))
    marked.note = "an attribute"
    torch.save({"a": nn.Parameter(torch.arange(3.0)), "b": marked}, tmp_path / "a.bin")
    weights = open_weights(tmp_path / "a.bin")
    assert weights.get("a").tolist() == [0, 1, 2]
    assert weights.get("b").tolist() == [1, 1]
    assert not weights.get("a").requires_grad


@pytest.mark.parametrize("name", FORMATS)
def test_plain_values_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    value = {
        "numbers": [0, 1, -1, 255, 256, 65536, 2**31, -(2**31), 2**63, 2**100, 1.5, float("inf"), True, False, None],
        "texts": ("", "a", "é" * 300, "🐈", "x" * 70_000),
        "bytes": (b"", b"\x00\xff" * 200),
        "nested": {"a": {"b": [{"c": (1, (2, (3,)))}]}, 1: {2, 3}, (1, "a"): frozenset({4})},
        "size": torch.Size([2, 3]),
    }
    torch.save(value, tmp_path / "a.pt", **FORMATS[name])
    assert read_pickle(tmp_path / "a.pt").value == value


def test_special_dictionaries_are_dictionaries(tmp_path: Path) -> None:
    ordered = OrderedDict({"z": 1, "a": 2})
    torch.save(
        {"o": ordered, "d": defaultdict(list, {"x": [1]}), "state": nn.Linear(1, 1).state_dict()}, tmp_path / "a"
    )
    value = read_pickle(tmp_path / "a").value
    assert list(value["o"].items()) == [("z", 1), ("a", 2)]
    assert type(value["d"]) is dict
    assert value["d"] == {"x": [1]}
    assert list(value["state"]) == ["weight", "bias"]


def test_tensors_of_a_structure_wait_in_the_file(tmp_path: Path) -> None:
    average = {"decay": 0.9999, "num_updates": 7, "shadow_params": [torch.arange(4.0), torch.ones(2, 3)]}
    torch.save({"state_dict": {"a": torch.zeros(4)}, "ema": average, "epoch": 3}, tmp_path / "a.ckpt")
    value = read_pickle(tmp_path / "a.ckpt").value
    first, second = value["ema"]["shadow_params"]
    assert isinstance(first, LazyTensor)
    assert (second.shape, second.dtype, second.nbytes) == ((2, 3), torch.float32, 24)
    weights = PickledWeights(tmp_path / "a.ckpt", {"a": first})
    assert weights.shapes == {"a": (4,)}
    assert weights.get("a").tolist() == [0, 1, 2, 3]


def test_the_state_dict_is_what_a_lightning_file_weighs(tmp_path: Path) -> None:
    saved = {"state_dict": {"a": torch.arange(4.0), "count": 3}, "ema": {"shadow_params": [torch.ones(9)]}}
    torch.save(saved, tmp_path / "a.ckpt")
    weights = open_weights(tmp_path / "a.ckpt")
    assert weights.shapes == {"a": (4,)}
    assert weights.total_bytes == 16


@pytest.fixture
def foreign() -> Iterator[Callable[[str, str, tuple[type, ...]], type]]:
    """Makes classes of modules that exist while a file is written and not when it is read."""
    made: list[str] = []

    def make(module: str, name: str, bases: tuple[type, ...] = ()) -> type:
        kind = type(name, bases, {"__module__": module})
        for whole in (".".join(module.split(".")[: i + 1]) for i in range(module.count(".") + 1)):
            if whole not in sys.modules:
                sys.modules[whole] = types.ModuleType(whole)
                made.append(whole)
        setattr(sys.modules[module], name, kind)
        return kind

    yield make
    for module in made:
        sys.modules.pop(module, None)


@pytest.mark.parametrize("name", FORMATS)
def test_settings_of_foreign_classes_become_plain(tmp_path: Path, foreign: Any, name: str) -> None:
    """The layout of OmegaConf's nodes, and of a tokenizer beside them."""
    any_node = foreign("omega_conf_like.nodes", "AnyNode")
    dict_config = foreign("omega_conf_like.dictconfig", "DictConfig")
    list_config = foreign("omega_conf_like.listconfig", "ListConfig")

    def node(value: Any, parent: Any = None) -> Any:
        kind = {dict: dict_config, list: list_config}.get(type(value), any_node)
        made = kind.__new__(kind)
        if isinstance(value, dict):
            inside: Any = {key: node(item, made) for key, item in value.items()}
        elif isinstance(value, list):
            inside = [node(item, made) for item in value]
        else:
            inside = value
        held = "_val" if kind is any_node else "_content"
        made.__dict__.update({"_metadata": {"ref_type": Any}, "_parent": parent, held: inside, "_flags_cache": None})
        return made

    settings = {"model": {"length": 1024, "ratio": 0.5, "name": "small", "of": [1, {"a": None}]}, "off": False}
    tokenizer = foreign("tokenizers_like", "Tokenizer")()
    tokenizer.vocabulary = {"a": 1}
    namespace = types.SimpleNamespace(lr=0.1)
    items = foreign("lightning_like", "AttributeDict", (dict,))({"depth": 3})
    saved = {
        "hyper_parameters": {
            "config": node(settings), "tokenizer": tokenizer, "args": namespace, "items": items,
            "home": PosixPath("/a/b"),
        }
    }  # fmt: skip
    torch.save(saved, tmp_path / "a.ckpt", **FORMATS[name])
    for module in [module for module in sys.modules if "_like" in module]:
        del sys.modules[module]
    found = plain(read_pickle(tmp_path / "a.ckpt").value["hyper_parameters"])
    assert found["config"] == settings
    assert (found["args"], found["items"], found["home"]) == ({"lr": 0.1}, {"depth": 3}, "/a/b")
    assert isinstance(found["tokenizer"], Stub)
    assert found["tokenizer"].path == "tokenizers_like.Tokenizer"
    assert not [module for module in sys.modules if "_like" in module]


def test_changing_a_tensor_does_not_change_the_file(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a.bin")
    save_file({"a": torch.zeros(1000)}, tmp_path / "a.safetensors")
    for path in tmp_path.iterdir():
        before = path.read_bytes()
        open_weights(path).get("a").fill_(1)
        assert path.read_bytes() == before


def test_released_tensors_can_be_read_again(tmp_path: Path) -> None:
    values = torch.arange(100_000.0)
    torch.save({"a": values}, tmp_path / "a.bin")
    torch.save({"a": values}, tmp_path / "a.old", _use_new_zipfile_serialization=False)
    save_file({"a": values}, tmp_path / "a.safetensors")
    for path in tmp_path.iterdir():
        weights = open_weights(path)
        first = weights.get("a")
        weights.release("a")
        assert torch.equal(first, values)
        assert torch.equal(weights.get("a"), values)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("model.safetensors", lambda path: torch.save({"a": torch.ones(2)}, path)),
        ("pytorch_model.bin", lambda path: save_file({"a": torch.ones(2)}, path)),
        ("mdlm", lambda path: torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False)),
    ],
)
def test_a_file_is_what_it_is_whatever_it_is_called(tmp_path: Path, name: str, save: Any) -> None:
    save(tmp_path / name)
    assert open_weights(tmp_path / name).get("a").tolist() == [1, 1]


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards_are_read_as_one(tmp_path: Path, kind: str) -> None:
    name = "model.safetensors" if kind == "safetensors" else "pytorch_model.bin"
    save = save_file if kind == "safetensors" else torch.save
    save({"a": torch.ones(2), "b": torch.zeros(3)}, tmp_path / f"one.{kind}")
    save({"c": torch.arange(4.0)}, tmp_path / f"two.{kind}")
    index = {"metadata": {}, "weight_map": {"a": f"one.{kind}", "b": f"one.{kind}", "c": f"two.{kind}"}}
    (tmp_path / f"{name}.index.json").write_text(json.dumps(index))
    weights = open_weights(tmp_path)
    assert weights.path.name == f"{name}.index.json"
    assert weights.shapes == {"a": (2,), "b": (3,), "c": (4,)}
    assert weights.total_bytes == 36
    assert weights.get("c").tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        ("a.gguf", b"GGUF\3\0\0\0", "is a GGUF file"),
        ("mdlm.ckpt", b"<!DOCTYPE html><html>", "is a web page"),
        ("mdlm.ckpt", b'{"error":"Repository not found"}', "is a server's error message"),
        ("model.safetensors", b'{ "detail" : "Not found"}', "is a server's error message"),
        ("a.safetensors.incomplete", b"\0" * 99, "a download that was not finished"),
        ("a.bin", b"", r"a\.bin is not a safetensors file"),
        ("a.bin", b"BZh91AY&SY", r"a\.bin is not a safetensors file"),
    ],
)
def test_what_is_often_taken_for_weights_is_reported(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with refused(words):
        open_weights(tmp_path / name)


def test_a_place_without_weights_is_reported(tmp_path: Path) -> None:
    with refused(r"has no weights: looked for model\.safetensors"):
        open_weights(tmp_path)
    with refused("No such file"):
        open_weights(tmp_path / "nowhere.ckpt")
    with refused("No such file"):
        read_pickle(tmp_path / "nowhere.ckpt")
    with refused("No such file"):
        open_weights(tmp_path / "nowhere.safetensors.index.json")


@pytest.mark.parametrize(
    "part", ["x.incomplete", ".cache/huggingface/download/x.incomplete", "../../blobs/x.incomplete"]
)
def test_a_download_that_ended_early_is_reported(tmp_path: Path, part: str) -> None:
    home = tmp_path / "snapshots" / "abc"
    home.mkdir(parents=True)
    (home / part).parent.mkdir(parents=True, exist_ok=True)
    (home / part).write_bytes(b"")
    with refused("a download that was not finished"):
        open_weights(home)


def network() -> nn.Module:
    with torch.device("meta"):
        module = nn.Sequential(OrderedDict(first=nn.Linear(3, 4), norm=nn.BatchNorm1d(4), last=nn.Linear(4, 2)))
    return module


def tensors() -> dict[str, Tensor]:
    noise = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(tensor.shape, generator=noise) if tensor.is_floating_point() else torch.tensor(5)
        for name, tensor in network().state_dict().items()
    }


def filled(path: Path, saved: dict[str, Tensor], **options: Any) -> tuple[nn.Module, tuple[str, ...]]:
    save_file(saved, path / "a.safetensors")
    module = network()
    ignored = fill(
        module, open_weights(path / "a.safetensors"), device=CPU, **{"dtype": lambda _: torch.float32} | options
    )
    return module, ignored


def test_a_network_is_given_its_tensors(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    module, ignored = filled(tmp_path, tensors(), progress=lambda *args: seen.append(args))
    assert not ignored
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, tensors()[name]), name
    total = sum(tensor.nbytes for tensor in tensors().values())
    assert len(seen) == len(tensors())
    assert seen[-1] == ("reading weights", total, total)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_real_numbers_are_converted_and_whole_ones_are_not(tmp_path: Path) -> None:
    module, _ = filled(tmp_path, tensors(), dtype=lambda name: torch.bfloat16 if "norm" not in name else torch.float64)
    got = module.state_dict()
    assert got["first.weight"].dtype == torch.bfloat16
    assert got["norm.weight"].dtype == torch.float64
    assert got["norm.num_batches_tracked"].dtype == torch.int64
    assert torch.equal(got["first.weight"], tensors()["first.weight"].bfloat16())


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    with refused(r"first\.weight is of torch\.int8, not torch\.float32"):
        filled(tmp_path, tensors() | {"first.weight": torch.ones(4, 3, dtype=torch.int8)})


def test_what_does_not_fit_is_named_with_its_nearest(tmp_path: Path) -> None:
    whole = tensors()
    other = {("first.wieght" if name == "first.weight" else name): tensor for name, tensor in whole.items()}
    for changed, words in (
        ({name: tensor for name, tensor in whole.items() if name != "last.bias"}, r": last\.bias is missing$"),
        (whole | {"extra": torch.ones(1)}, ": extra is unexpected$"),
        (
            other,
            r"first\.weight is missing \(nearest: first\.wieght\); first\.wieght is unexpected \(nearest: first\.w",
        ),
        (whole | {"first.weight": torch.ones(3, 4)}, r"first\.weight has shape \[3, 4\], expected \[4, 3\]$"),
        (
            {f"network.{name}": tensor for name, tensor in whole.items()},
            r"\(nearest: network\.first\.weight\).* \(and 15 more",
        ),
    ):
        with refused(words):
            filled(tmp_path, changed)


def test_renamed_and_ignored_tensors_are_reported(tmp_path: Path) -> None:
    def rename(name: str) -> str | None:
        return None if name.startswith("metric") else name.removeprefix("backbone.")

    saved = {f"backbone.{name}": tensor for name, tensor in tensors().items()} | {"metric.sum": torch.ones(1)}
    module, ignored = filled(tmp_path, saved, rename=rename)
    assert ignored == ("metric.sum",)
    assert torch.equal(module.state_dict()["first.bias"], tensors()["first.bias"])
    with refused(r"last\.bias twice: as backbone\.last\.bias and as last\.bias"):
        filled(tmp_path, saved | {"last.bias": torch.ones(2)}, rename=rename)


def test_a_load_can_be_cancelled(tmp_path: Path) -> None:
    def cancel(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path, tensors(), progress=cancel)


def test_a_wrong_file_is_refused_at_once_however_many_tensors_it_has() -> None:
    expected = {f"model.layers.{i}.self_attn.{kind}_proj.weight": (2, 2) for i in range(5000) for kind in "qkvo"}
    found = {f"transformer.h.{i}.attn.{kind}_proj.weight": (2, 2) for i in range(5000) for kind in "qkvo"}
    with refused("is missing.*and 39997 more"):
        check_shapes(expected, found)


def test_more_layers_than_tensors_are_refused(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "a.safetensors")
    weights = open_weights(tmp_path / "a.safetensors")
    check_claim(len(tensors()), weights)
    with refused(r"claims 1000000 layers, .*a\.safetensors has 9 tensors"):
        check_claim(1_000_000, weights)


def test_opening_reads_no_weights(tmp_path: Path) -> None:
    """A file with gigabytes of holes, which reading would fill with zeros."""
    path = tmp_path / "big.safetensors"
    text = json.dumps({"a": {"dtype": "F32", "shape": [1 << 30], "data_offsets": [0, 1 << 32]}}).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + (1 << 32))
    with small():
        tensor = open_weights(path).get("a")
        assert tensor[12345].item() == 0
    assert tensor.nbytes == 1 << 32


MEASURE = """
import json, sys
from pathlib import Path
import torch
from torch import nn
from engine.models.files import fill, open_weights
from tests.engine.malicious import resident

torch.ones(100, 100).bfloat16().float()
for path in sys.argv[1:]:
    for dtype in (torch.float32, torch.bfloat16):
        weights, network, anonymous = open_weights(Path(path)), nn.Module(), [0]
        for name, shape in weights.shapes.items():
            network.register_parameter(name, nn.Parameter(torch.empty(shape, device="meta"), requires_grad=False))
        Path("/proc/self/clear_refs").write_text("5")
        before, private = resident("VmRSS"), resident("RssAnon")
        fill(network, weights, device=torch.device("cpu"), dtype=lambda _: dtype,
             progress=lambda *_: anonymous.append(resident("RssAnon") - private))
        for parameter in network.parameters():
            parameter.view(torch.uint8).view(-1)[::4096].sum()
        size = max(weights.total_bytes, sum(parameter.nbytes for parameter in network.parameters()))
        print(json.dumps([Path(path).name, str(dtype), (resident("VmHWM") - before) / size, max(anonymous) / size]))
        del network, weights, parameter
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc")
def test_loading_takes_little_more_memory_than_the_weights(tmp_path: Path) -> None:
    """All memory counts here, the file's mapped pages too; without a conversion no private memory is taken."""
    saved = {f"layer{i}": torch.full((1000, 1024), float(i)) for i in range(48)}
    save_file(saved, tmp_path / "a.safetensors")
    torch.save(saved, tmp_path / "a.ckpt")
    torch.save({name: tensor.bfloat16() for name, tensor in saved.items()}, tmp_path / "half.ckpt")
    files = [str(tmp_path / name) for name in ("a.safetensors", "a.ckpt", "half.ckpt")]
    ran = subprocess.run([sys.executable, "-c", MEASURE, *files], capture_output=True, text=True, check=True)
    measured = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(measured) == 6
    for name, dtype, peak, private in measured:
        assert 0.4 < peak < 1.1, (name, dtype, peak)
        assert private < 1.05, (name, dtype, private)
        if (dtype == "torch.bfloat16") is (name == "half.ckpt"):
            assert private < 0.05, (name, dtype, private)


def test_a_process_knows_its_own_memory() -> None:
    before = resident("RssAnon")
    # not from the heap, where pages that are already there would be used again
    held = mmap.mmap(-1, 1 << 26, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, len(held), 4096):
        held[at] = 1
    assert resident("RssAnon") - before > 1 << 25


def test_a_header_whose_length_looks_like_a_page_is_read(tmp_path: Path) -> None:
    """15,392 bytes of header begin with a space and a less-than sign."""
    path, more = tmp_path / "model.safetensors", "x" * 14_000
    for size in range(1_400):
        save_file({"a": torch.zeros(2)}, path, metadata={"note": more + "y" * size})
        if path.read_bytes()[:2] == b" <":
            break
    assert path.read_bytes()[:2] == b" <"
    assert set(open_weights(path).shapes) == {"a"}
