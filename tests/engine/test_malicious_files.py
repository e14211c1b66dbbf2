"""Weight files that attack: each is one clear error within a second, runs nothing and takes no memory."""

from __future__ import annotations

import contextlib
import copyreg
import json
import os
import pickle
import random
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from engine.models import load_model
from engine.models.dit import DIT, DITConfig
from engine.models.files import PickledWeights, open_weights, plain, read_pickle
from engine.models.files.containers import Stub
from tests.engine.malicious import Run, Stored, checkpoint, dumped, header, refused, small, view, zipped


def opcodes(marker: Path) -> dict[str, bytes]:
    """Pickles that make a directory when they are loaded, by every way to a call that the format has."""
    text = str(marker).encode()
    arg = b"X" + struct.pack("<I", len(text)) + text
    return {
        "REDUCE": b"\x80\x02cos\nmkdir\n" + arg + b"\x85R.",
        "REDUCE inside arguments": b"\x80\x02cbuiltins\nlist\n(cos\nmkdir\n" + arg + b"\x85R\x85t\x85R.",
        "REDUCE of what a REDUCE gave": b"\x80\x02cbuiltins\ngetattr\n"
        b"c__builtin__\n__import__\nX\x02\x00\x00\x00os\x85RX\x05\x00\x00\x00mkdir\x86R" + arg + b"\x85R.",
        "OBJ": b"\x80\x02(cos\nmkdir\n" + arg + b"o.",
        "INST": b"\x80\x02(" + arg + b"ios\nmkdir\n.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93" + arg + b"\x85R.",
        "STACK_GLOBAL out of the memo": b"\x80\x04\x8c\x05mkdir\x94\x8c\x02os\x94h\x010h\x01h\x00\x93"
        + arg
        + b"\x85R.",
        "STACK_GLOBAL of a dotted name": b"\x80\x04\x8c\x07pathlib\x8c\x0aPath.mkdir\x93"
        b"\x8c\x07pathlib\x8c\x04Path\x93" + arg + b"\x85R\x85R.",
        "BUILD after it": b"\x80\x02cos\nmkdir\n" + arg + b"\x85R}b.",
        "setattr": b"\x80\x02}X\x01\x00\x00\x00acos\nmkdir\n" + arg + b"\x85Rs.",
        "a key": b"\x80\x02}cos\nmkdir\n" + arg + b"\x85RNs.",
        "a default": b"\x80\x02ccollections\ndefaultdict\ncos\nmkdir\n" + arg + b"\x85R\x85R.",
    }


@pytest.mark.parametrize("way", opcodes(Path("x")))
def test_a_pickle_that_calls_runs_nothing(tmp_path: Path, way: str) -> None:
    marker = tmp_path / "ran"
    payload = opcodes(marker)[way]
    path = zipped(tmp_path / "evil.ckpt", payload)
    with refused("holds no tensors by name|calls something that is not a function|is damaged|not a plain tensor"):
        PickledWeights(path)
    assert not marker.exists()
    with contextlib.suppress(TypeError, AttributeError):
        pickle.loads(payload)
    assert marker.is_dir(), "the payload is harmless, so that this shows nothing"


def test_os_system_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    payload = {
        "state_dict": {"layer.weight": torch.arange(3.0)},
        "hyper_parameters": {"config": Run(os.system, (f"touch {marker}",)), "lr": 0.1},
    }
    torch.save(payload, tmp_path / "evil.ckpt")
    with small():
        value = read_pickle(tmp_path / "evil.ckpt").value
        settings = plain(value["hyper_parameters"])
        assert torch.equal(open_weights(tmp_path / "evil.ckpt").get("layer.weight"), torch.arange(3.0))
    assert settings["lr"] == 0.1
    assert isinstance(settings["config"], Stub)
    assert repr(settings["config"]) == f"<inert {os.system.__module__}.system>"
    assert not marker.exists()
    torch.load(tmp_path / "evil.ckpt", weights_only=False)
    assert marker.exists()


def test_os_system_in_place_of_a_tensor_is_named(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with refused(r"layer\.weight is <inert \w+\.system>, not a plain tensor"):
        PickledWeights(checkpoint(tmp_path / "evil.bin", Run(os.system, (f"touch {marker}",))))
    assert not marker.exists()


def test_nothing_is_imported(tmp_path: Path) -> None:
    zipped(tmp_path / "evil.bin", b"\x80\x02(cantigravity\nfly_over\nX\x01\x00\x00\x00\x41ithis\ns\n.")
    with refused(r"<inert this\.s>"):
        PickledWeights(tmp_path / "evil.bin")
    assert not {"antigravity", "this"} & set(sys.modules)


def test_attributes_of_rebuilt_values_cannot_be_set(tmp_path: Path) -> None:
    """BUILD on a tensor, and on the function that rebuilds tensors, changes neither."""
    evil = Run(torch._utils._rebuild_tensor_v2, view(Stored()).args, {"shape": (1 << 40,), "get": os.getcwd})
    weights = PickledWeights(checkpoint(tmp_path / "evil.bin", evil))
    assert weights.get("layer.weight").shape == (2, 3)
    payload = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x06\x00\x00\x00modulecos\nsystem\nsb."
    value = read_pickle(zipped(tmp_path / "evil2.bin", payload)).value
    assert value.path == "torch._utils._rebuild_tensor_v2"


def test_extension_codes_are_refused_even_where_they_mean_something(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    text = str(marker).encode()
    payload = b"\x80\x02\x82\xf0X" + struct.pack("<I", len(text)) + text + b"\x85R."
    copyreg.add_extension("os", "mkdir", 0xF0)
    try:
        with refused("extension codes"):
            read_pickle(zipped(tmp_path / "evil.bin", payload))
        assert not marker.exists()
        pickle.loads(payload)
        assert marker.exists()
    finally:
        copyreg.remove_extension("os", "mkdir", 0xF0)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (Stored(numel=7), r"storage 0 claims 7 numbers of torch\.float32, but has 24 bytes \(at layer\.weight\)"),
        (Stored(numel=5), "claims 5 numbers"),
        (Stored(numel=1 << 40), "claims 1099511627776 numbers"),
        (Stored(numel=-1), "no length"),
        (Stored(numel=1 << 70), "no length"),
        (Stored(numel=True), "no length"),
        (Stored(numel="6"), "no length"),
        (Stored(kind=torch.DoubleStorage), r"claims 6 numbers of torch\.float64"),
        (Stored(kind=os.system), "no known type"),
        (Stored(kind="FloatStorage"), "no known type"),
        (Stored(key="7"), "storage 7 is not in the file"),
        (Stored(key="../data.pkl"), "is not in the file"),
        (Stored(key="/etc/passwd"), "is not in the file"),
        (Stored(key="\x1b[31m\n"), r"storage '\\x1b\[31m\\n' is not in the file"),
        (Stored(key=0), "no known type"),
        (Stored(whole=("module", "os", "system")), "that of no storage"),
        (Stored(whole=("storage",)), "that of no storage"),
        (Stored(whole="storage"), "that of no storage"),
        (Stored(whole=["storage", 1, 2, 3, 4]), "that of no storage"),
        (Stored(whole=("storage", torch.FloatStorage, "0", "cpu", 6, ("view", 0, 1))), "that of no storage"),
    ],
)
def test_a_persistent_id_that_lies_is_refused(tmp_path: Path, stored: Stored, words: str) -> None:
    with refused(words):
        read_pickle(checkpoint(tmp_path / "evil.bin", view(stored)))


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (
            view(Stored(), (2, 4), (4, 1)),
            r"shape of \[2, 4\].* does not fit its storage of 6 numbers \(at layer\.weight\)",
        ),
        (view(Stored(), offset=1), r"from 1 on does not fit"),
        (view(Stored(), offset=-1), "that no tensor can have"),
        (view(Stored(), (-2, -3)), "that no tensor can have"),
        (view(Stored(), (2, 3), (-3, -1), 5), "that no tensor can have"),
        (view(Stored(), (50_000, 50_000), (0, 0)), "does not fit"),
        (view(Stored(), (2_684_354_560,), (0,)), "does not fit"),
        (view(Stored(), (2, 3), (1 << 61, 1)), "that no tensor can have"),
        (view(Stored(), (2, 3), (1 << 40, 1)), "does not fit"),
        (view(Stored(), (0, 1 << 50, 1 << 50), (1, 1, 1)), "too large"),
        (view(Stored(), (2, 3), (3,)), "that no tensor can have"),
        (view(Stored(), (1,) * 70, (1,) * 70), "that no tensor can have"),
        (view(Stored(), (2.0, 3.0)), "that no tensor can have"),
        (view(Stored(), (True, 3)), "that no tensor can have"),
        (view(Stored(), ("2", 3)), "that no tensor can have"),
        (view(Stored(), [2, 3], [3, 1]), "not made of a storage"),
        (view(None), "not made of a storage"),
        (view(Run(os.getcwd, ())), "not made of a storage"),
        (Run(torch._utils._rebuild_tensor_v2, ()), "damaged or cut off at its REDUCE"),
        (Run(torch._utils._rebuild_parameter, ()), "damaged or cut off at its REDUCE"),
        (
            Run(torch._tensor._rebuild_from_type_v2, (torch._tensor._rebuild_from_type_v2, torch.Tensor, (), {})),
            "class of its own",
        ),
    ],
)
def test_a_tensor_that_is_not_in_its_storage_is_refused(tmp_path: Path, tensor: Run, words: str) -> None:
    with refused(words):
        read_pickle(checkpoint(tmp_path / "evil.bin", tensor))


def test_one_storage_under_a_thousand_names_claims_no_more_than_the_file_backs(tmp_path: Path) -> None:
    content = bytes(4 << 20)
    shared = view(Stored(numel=1 << 20), (1 << 20,), (1,))
    tensors = {f"layers.{i}.weight": shared for i in range(1000)}
    with refused(r"claim 4194304000 bytes, the file has 4\d{6}$"):
        PickledWeights(zipped(tmp_path / "evil.bin", dumped(tensors), {"0": content}))


def test_a_storage_is_of_one_type(tmp_path: Path) -> None:
    both = [view(Stored()), view(Stored(numel=3, kind=torch.DoubleStorage), (3,), (1,))]
    with refused("claimed in two ways"):
        read_pickle(zipped(tmp_path / "evil.bin", dumped(both), {"0": bytes(24)}))


def laughs(depth: int) -> tuple[Any, ...]:
    value: tuple[Any, ...] = ("ha",)
    for _ in range(depth):
        value = (value, value)
    return value


BOMBS = {
    "a long list": (b"\x80\x02](" + b"N" * (1 << 22) + b"e.", "more than 128 MiB"),
    "many sets": (b"\x80\x04](" + b"\x8f" * (1 << 22) + b"e.", "more than 128 MiB"),
    "marks": (b"\x80\x02" + b"(" * (1 << 22) + b".", "more than 128 MiB"),
    "a memo of one thing": (b"\x80\x04]" + b"\x94" * (1 << 22) + b".", "more than 128 MiB"),
    "a memo with holes": (b"\x80\x02]r\xff\xff\xff\xff.", "holds no tensors"),
    "a list in a list in a list": (b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".", "holds no tensors"),
    "a tuple in a tuple": (b"\x80\x02)" + b"\x85" * 200_000 + b".", "holds no tensors"),
    "a list in itself": (b"\x80\x02]q\x00h\x00a.", "holds no tensors"),
    "copies of copies": (
        b"\x80\x02ccollections\nOrderedDict\nq\x00](" + b"K\x01K\x02\x86q\x01" + b"h\x01" * 200_000
        + b"eq\x02" + b"h\x00h\x02\x85R0" * 10_000 + b".",
        "more than 128 MiB",
    ),
    "texts of texts": (
        b"\x80\x02c_codecs\nencode\nq\x00X\x00\x00\x40\x00" + b"a" * (1 << 22)
        + b"q\x01X\x06\x00\x00\x00latin1q\x02" + b"h\x00h\x01h\x02\x86R" * 10_000 + b".",
        "more than 128 MiB",
    ),
    "a number without end": (b"\x80\x02\x8b\x00\x00\x10\x00" + b"\x7f" * (1 << 20) + b".", "more than 2048 bits"),
    "digits without end": (b"I" + b"9" * (1 << 20) + b"\n.", "damaged or cut off"),
    "bytes of a length": (b"\x80\x02c__builtin__\nbytes\n\x8a\x05\x00\x00\x00\x00\x10\x85R.", "what it does not hold"),
    "a text that is longer than the file": (b"\x80\x02X\xff\xff\xff\xffabc.", "damaged or cut off"),
    "bytes that are longer than memory": (b"\x80\x04\x8e" + b"\xff" * 8 + b"abc.", "damaged or cut off"),
    "a frame longer than memory": (b"\x80\x04\x95" + b"\xff" * 8 + b"N.", "holds no tensors"),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_pickle_that_grows_is_stopped(tmp_path: Path, bomb: str) -> None:
    payload, words = BOMBS[bomb]
    path = zipped(tmp_path / "evil.bin", payload)
    with refused(words):
        PickledWeights(path)


def test_keys_that_are_made_to_be_slow_are_refused(tmp_path: Path) -> None:
    """A tuple's hash is that of all it holds, each time; integers modulo 2^61 - 1 have the hash of each other."""
    for key in (laughs(60), (1 << 61) - 1):
        payload = b"\x80\x02}" + dumped(key)[2:-1] + b"Ns."
        with refused("as a key|key of more than 60 bits"):
            read_pickle(zipped(tmp_path / "evil.bin", payload))
        pickled = b"\x80\x02c__builtin__\nset\n]" + dumped(key)[2:-1] + b"a\x85R."
        with refused("as a key|key of more than 60 bits"):
            read_pickle(zipped(tmp_path / "evil.bin", pickled))


def test_settings_without_end_are_refused(tmp_path: Path) -> None:
    deep = b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    for payload in (deep, b"\x80\x02]q\x00h\x00a.", dumped(laughs(60))):
        value = read_pickle(zipped(tmp_path / "evil.bin", payload)).value
        with refused("the settings are nested more than 64 deep, or hold more than 200000 values"):
            plain(value)


def test_names_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    for name in ("\x1b]0;pwned\x07", "a\nb", "\u202egnp.exe", "x" * 100_000):
        with refused("not a plain tensor"):
            PickledWeights(zipped(tmp_path / "evil.bin", dumped({name: Run(os.getcwd, ())})))
        with refused("is of type"):
            open_weights(header(tmp_path / "evil.safetensors", {name: entry("F99", [1], 0, 4)}, bytes(4)))


def test_a_checkpoint_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.arange(1000.0)}, tmp_path / "whole.bin")
    torch.save({"layer.weight": torch.arange(1000.0)}, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    for name in ("whole.bin", "old.bin"):
        whole = (tmp_path / name).read_bytes()
        for size in (*range(40, len(whole), 97), len(whole) - 1):
            (tmp_path / "part.bin").write_bytes(whole[:size])
            with pytest.raises(ValueError, match=r"part\.bin"):
                PickledWeights(tmp_path / "part.bin")
    with refused("half a download"):
        (tmp_path / "part.bin").write_bytes((tmp_path / "whole.bin").read_bytes()[:-100])
        PickledWeights(tmp_path / "part.bin")


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", dumped({"layer.weight": view(Stored(numel=1 << 26), (1 << 26,), (1,))}))
        archive.writestr("archive/data/0", bytes(1 << 28))
    assert (tmp_path / "bomb.ckpt").stat().st_size < 1 << 20
    with refused("data.pkl is compressed or encrypted"):
        PickledWeights(tmp_path / "bomb.ckpt")


@pytest.mark.parametrize("name", ["../../.bashrc", "/etc/cron.d/evil", "archive/../../x", "..\\x", "\\\\host\\x"])
def test_a_member_outside_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    path = checkpoint(tmp_path / "evil.ckpt", view(Stored()))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "evil")
    with refused("points outside the archive"):
        PickledWeights(path)


def test_a_member_listed_twice_is_refused(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "evil.ckpt", view(Stored()))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data/0", bytes(24))
    with refused("lists a member twice"):
        PickledWeights(path)


@pytest.mark.parametrize(
    ("of", "at", "value", "words"),
    [
        (b"PK\1\2", 20, struct.pack("<2L", 1 << 31, 1 << 31), "claims 2147483648 bytes, which are not in the file"),
        (b"PK\1\2", 24, struct.pack("<L", 1 << 31), "claims 2147483648 bytes"),
        (b"PK\1\2", 20, b"\xff" * 8, "claims 4294967295 bytes"),
        (b"PK\1\2", 42, struct.pack("<L", 5), "is not where the archive says"),
        (b"PK\1\2", 42, b"\xff" * 4, "not in the file"),
        (b"PK\1\2", 8, b"\1\0", "compressed or encrypted"),
        (b"PK\1\2", 0, b"PK\7\7", "damaged directory"),
        (b"PK\1\2", 28, b"\xff\xff", "fewer members than it says|damaged directory"),
        (b"PK\5\6", 10, b"\xff\xff", "fewer members than it says"),
        (b"PK\5\6", 12, b"\xff\xff\xff\x7f", "more than any checkpoint has"),
        (b"PK\5\6", 12, b"\xff\xff\x0f\0", "points behind its end"),
        (b"PK\5\6", 16, b"\xff\xff\xff\xff", "points behind its end"),
    ],
)  # fmt: skip
def test_a_zip_directory_that_lies_is_refused(tmp_path: Path, of: bytes, at: int, value: bytes, words: str) -> None:
    path = checkpoint(tmp_path / "evil.ckpt", view(Stored()))
    content = bytearray(path.read_bytes())
    place = content.index(of) + at
    content[place : place + len(value)] = value
    path.write_bytes(content)
    with refused(words):
        PickledWeights(path)


def test_a_zip_file_of_something_else_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "letter.docx", "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    with refused(r"letter\.docx is a zip file, but not of torch\.save"):
        open_weights(tmp_path / "letter.docx")


def entry(kind: Any, shape: Any, begin: Any, end: Any) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


LIES: dict[str, tuple[Any, str]] = {
    "overlap": ({"a": entry("F32", [4], 0, 16), "b": entry("F32", [4], 8, 24)}, "b overlaps another tensor"),
    "the same bytes": ({"a": entry("F32", [6], 0, 24), "b": entry("F32", [6], 0, 24)}, "overlaps another tensor"),
    "a gap": ({"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 16, 24)}, "b follows a gap"),
    "past the end": ({"a": entry("F32", [8], 0, 32)}, "its tensors end at byte .*half a download"),
    "10 GB": ({"a": entry("F32", [50_000, 50_000], 0, 10**10)}, "its tensors end at byte 10000"),
    "bytes left over": ({"a": entry("F32", [2], 0, 8)}, "its tensors end at byte"),
    "too few bytes": ({"a": entry("F32", [7], 0, 24)}, "a has 7 numbers of F32, but 24 bytes"),
    "10 GB in 24 bytes": ({"a": entry("F32", [50_000, 50_000], 0, 24)}, "a has 2500000000 numbers"),
    "a product that wraps": ({"a": entry("F32", [1 << 33, 1 << 33], 0, 24)}, "numbers of F32, but 24 bytes"),
    "negative offsets": ({"a": entry("F32", [6], -24, 0)}, "not whole numbers"),
    "offsets backwards": ({"a": entry("F32", [6], 24, 0)}, "but -24 bytes"),
    "negative sizes": ({"a": entry("F32", [-2, -3], 0, 24)}, "not whole numbers"),
    "huge sizes": ({"a": entry("F32", [1 << 62], 0, 24)}, "not whole numbers"),
    "sizes of a thousand digits": ({"a": entry("F32", [10**1000], 0, 24)}, "not whole numbers"),
    "sizes of no end": (b'{"a":{"dtype":"F32","shape":[' + b"9" * 10_000 + b'],"data_offsets":[0,24]}}', "digits"),
    "fractions": ({"a": entry("F32", [6.0], 0, 24)}, "not whole numbers"),
    "truths": ({"a": entry("U8", [True] * 3, 0, True)}, "not whole numbers"),
    "many dimensions": ({"a": entry("F32", [1] * 1000, 0, 4)}, "not whole numbers"),
    "an unknown type": ({"a": entry("F33", [6], 0, 24)}, "a is of type F33; known are F64"),
    "no type": ({"a": entry(None, [6], 0, 24)}, "is of type <NoneType>"),
    "no offsets": ({"a": {"dtype": "F32", "shape": [6]}}, "is not described"),
    "one offset": ({"a": {"dtype": "F32", "shape": [6], "data_offsets": [0]}}, "is not described"),
    "a text": ({"a": "F32"}, "is not described"),
    "a list": ([1, 2], "header is not an object"),
    "a name twice": (b'{"a":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},"a":null}', "a is there twice"),
    "no JSON": (b"{", "is not a safetensors file"),
    "no text": (b"\xff\xff\xff\xff", "is not a safetensors file"),
    "nesting": (b"[" * 1_000_000, "nested too deep"),
    "nothing": (b"", "is not a safetensors file"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_safetensors_header_that_lies_is_refused(tmp_path: Path, lie: str) -> None:
    claimed, words = LIES[lie]
    path = header(tmp_path / "evil.safetensors", claimed, bytes(24))
    with refused(words):
        open_weights(path)


@pytest.mark.parametrize(
    ("length", "words"),
    [(1 << 62, "longer than its"), ((1 << 64) - 1, "longer than its"), (1 << 30, "longer than its"), (0, "is not a")],
)
def test_a_header_that_lies_about_its_length_is_refused(tmp_path: Path, length: int, words: str) -> None:
    with refused(words):
        open_weights(header(tmp_path / "evil.safetensors", {"a": entry("F32", [6], 0, 24)}, bytes(24), length))


def test_a_header_of_a_hundred_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "evil.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 100 << 20))
        file.truncate(101 << 20)
    with refused("longer than the 8388608 that are read"):
        open_weights(path)


def mutated(whole: bytes, seed: int, within: int, letters: bytes = bytes(range(256))) -> bytes:
    """The file with a few bytes of its first `within` changed: those that are one of the letters, to another."""
    choose = random.Random(seed)
    content = bytearray(whole)
    places = [at for at in range(within) if content[at] in letters]
    for _ in range(choose.choice((1, 1, 2, 5))):
        content[choose.choice(places)] = choose.choice(letters)
    return bytes(content)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_damaged_checkpoint_is_an_error_or_a_value(tmp_path: Path, kind: str) -> None:
    value = {
        "state_dict": torch.nn.Linear(3, 2).state_dict(),
        "ema": {"shadow_params": [torch.ones(2)]},
        "hyper_parameters": {
            "names": {"a": (1, 2.5), "b": {3}},
            "b": b"\xff",
            "c": Run(os.getcwd, (), {"_content": 1}),
        },
    }
    path = tmp_path / "file.bin"
    torch.save(value, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    refusals = read = 0
    for seed in range(600):
        path.write_bytes(mutated(whole, seed, len(whole) if kind == "zip" else min(900, len(whole))))
        try:
            weights = PickledWeights(path)
            for name in weights.shapes:
                weights.get(name).clone()
            plain(read_pickle(path).value.get("hyper_parameters"))
        except ValueError as error:
            refusals += str(error).isprintable()
        else:
            read += 1
    assert refusals + read == 600
    assert min(refusals, read) > 50


def test_a_damaged_safetensors_file_is_read_only_where_the_library_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    save_file({"a": torch.arange(6.0).view(2, 3), "b": torch.arange(5), "c": torch.ones(3).bfloat16()}, path)
    whole = path.read_bytes()
    length = 8 + struct.unpack("<Q", whole[:8])[0]
    read = 0
    for seed in range(800):
        path.write_bytes(mutated(whole, seed, length, b"0123456789abcFIBU"))
        try:
            weights = open_weights(path)
        except ValueError:
            continue
        try:
            with safe_open(path, "pt") as other:
                assert {name: torch.Size(weights.shapes[name]) for name in weights.shapes} == {
                    name: other.get_tensor(name).shape
                    for name in other.keys()  # noqa: SIM118
                }
                read += 1
        except SafetensorError as error:
            pytest.fail(f"seed {seed} is read here, but not by the library: {error}")
    assert 20 < read < 600


INDEXES: dict[str, tuple[Any, str]] = {
    "outside": ({"weight_map": {"a": "../one.safetensors"}}, r"points outside its directory: '\.\./one\.safetensors'"),
    "absolute": ({"weight_map": {"a": "/etc/passwd"}}, "points outside its directory"),
    "the parent": ({"weight_map": {"a": ".."}}, "points outside its directory"),
    "another system's path": ({"weight_map": {"a": "..\\one.safetensors"}}, "points outside its directory"),
    "nowhere": ({"weight_map": {"a": ""}}, "points outside its directory"),
    "a shard that is missing": ({"weight_map": {"a": "two.safetensors"}}, "lacks two.safetensors.*half a download"),
    "a tensor that is missing": ({"weight_map": {"z": "one.safetensors"}}, r"one\.safetensors does not hold z, which"),
    "itself": ({"weight_map": {"a": "model.safetensors.index.json"}}, "is not a safetensors file"),
    "no map": ({}, "is not an index of weights"),
    "an empty map": ({"weight_map": {}}, "is not an index of weights"),
    "a list": ({"weight_map": ["a"]}, "is not an index of weights"),
    "a number": ({"weight_map": {"a": 1}}, "is not an index of weights"),
    "no object": ([], "is not an index of weights"),
    "nesting": (b"[" * 1_000_000, "is not an index of weights: it is nested too deep"),
    "half of it": (b'{"weight_map": {"a"', "is not an index of weights"),
}


@pytest.mark.parametrize("lie", INDEXES)
def test_an_index_that_lies_is_refused(tmp_path: Path, lie: str) -> None:
    claimed, words = INDEXES[lie]
    save_file({"a": torch.ones(1)}, tmp_path / "one.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_bytes(claimed if isinstance(claimed, bytes) else json.dumps(claimed).encode())
    with refused(words):
        open_weights(tmp_path)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1), "b": torch.ones(2)}, tmp_path / "one.safetensors")
    save_file({"b": torch.zeros(2)}, tmp_path / "two.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    with refused(r"b is in both .*one\.safetensors and .*two\.safetensors"):
        open_weights(tmp_path)


@pytest.mark.parametrize(
    "claim",
    [
        {"n_blocks": 1 << 20},
        {"hidden_size": 1 << 20, "n_heads": 1},
        {"vocab_size": 1 << 20, "hidden_size": 1 << 18, "n_heads": 2},
        {"cond_dim": 1 << 20},
    ],
)
def test_a_configuration_that_claims_a_huge_network_is_refused(tmp_path: Path, claim: dict[str, int]) -> None:
    config = {"format": 1, "kind": "dit", "vocab_size": 300, "mask_id": 299, "n_blocks": 2, **claim}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.json").write_text("{}")
    save_file({"vocab_embed.embedding": torch.ones(300, 24), "x": torch.ones(1)}, tmp_path / "model.safetensors")
    with torch.device("meta"):
        DIT(DITConfig(n_blocks=1))  # the library takes a second for its first such network, of any size
    with refused("the weights do not fit the configuration"):
        load_model(str(tmp_path), "cpu")


def test_the_measure_notices_what_it_forbids() -> None:
    with small():
        bytearray(1 << 20)
    with pytest.raises(AssertionError), small():
        list(range(5_000_000))
