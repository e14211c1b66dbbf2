"""What a model's name leads to: places on this machine, and repositories of a hub that may not answer."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.models.catalogue import resolve
from tests.engine.hub import Hub, serving

WEIGHTS = random.Random(0).randbytes(300_000)
WHOLE = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": WEIGHTS,
    "modeling.py": b"raise SystemExit",
}

# each in a process of its own, because the hub's library reads its settings when it is imported
FETCHES = """
import json, os, sys
from engine.models.sources import locate
assert "huggingface_hub" not in sys.modules
def fetch(repo, how):
    seen = []
    def progress(stage, done, total):
        seen.append((stage, done, total))
        if how == "cancel":
            raise KeyboardInterrupt
    try:
        home = locate(repo, progress, trust_remote_code=how == "trust")
        return {"files": {path.name: path.read_bytes().hex()[:20] for path in home.iterdir()}, "seen": seen}
    except ValueError as error:
        return {"error": str(error)}
    except KeyboardInterrupt:
        return {"cancelled": seen}
for line in sys.stdin:
    repo, how, env = json.loads(line)
    child = os.fork()
    if child == 0:
        os.environ.update(env)
        print(json.dumps(fetch(repo, how)), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module", autouse=True)
def fetches() -> Iterator[subprocess.Popen[str]]:
    """A process that has torch already and forks for every fetch."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    command = [sys.executable, "-c", FETCHES]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        SERVING.append(process)
        yield process
        SERVING.clear()


SERVING: list[subprocess.Popen[str]] = []


def fetch(home: Path, url: str, repo: str = "org/model", how: str = "plainly", **more: str) -> dict[str, Any]:
    env = {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **more,
    }
    (process,) = SERVING
    assert process.stdin is not None
    assert process.stdout is not None
    print(json.dumps([repo, how, env]), file=process.stdin, flush=True)
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def test_a_repository_is_fetched_with_its_progress_and_later_read_without_a_network(tmp_path: Path) -> None:
    with serving(Hub({"org/model": WHOLE})) as hub:
        got = fetch(tmp_path, hub.url)
    assert set(got["files"]) == {"config.json", "model.safetensors"}, "one format of weights, and no code"
    assert got["files"]["model.safetensors"] == WEIGHTS.hex()[:20]
    assert got["seen"][-1] == ["downloading org/model", len(WEIGHTS) + 2, len(WEIGHTS) + 2]
    for offline in ({"HF_HUB_OFFLINE": "1"}, {}):  # a hub that is not asked, and one that has gone away
        assert fetch(tmp_path, hub.url, **offline)["files"] == got["files"]


def test_code_is_fetched_where_it_is_trusted_and_only_there(tmp_path: Path) -> None:
    with serving(Hub({"org/model": WHOLE})) as hub:
        assert "modeling.py" in fetch(tmp_path, hub.url, how="trust")["files"]


@pytest.mark.parametrize("name", ["checkpoint.pth", "model.pt", "sedd.ckpt"])
def test_a_training_programs_file_is_fetched_without_what_is_no_weights(name: str, tmp_path: Path) -> None:
    files = {name: WEIGHTS, "training_args.bin": b"x", "optimizer.pt": WEIGHTS, "tokenizer.json": b"{}"}
    with serving(Hub({"org/model": files})) as hub:
        got = fetch(tmp_path, hub.url)
    assert set(got["files"]) == {name, "tokenizer.json"}
    assert fetch(tmp_path, hub.url, HF_HUB_OFFLINE="1")["files"] == got["files"]


def test_the_layers_of_ssd_lm_are_fetched_beside_the_weights(tmp_path: Path) -> None:
    layers = {"embed_sum_layer.pt": b"x", "timestep_layer.pt": b"x"}
    files = {"config.json": b"{}", "pytorch_model.bin": WEIGHTS, "other.pt": b"x", **layers}
    with serving(Hub({"org/model": files})) as hub:
        got = fetch(tmp_path, hub.url)
    assert set(got["files"]) == {"config.json", "pytorch_model.bin", *layers}


def test_a_download_that_breaks_off_goes_on_where_it_was(tmp_path: Path) -> None:
    with serving(Hub({"org/model": WHOLE}, cut=1)) as hub:
        got = fetch(tmp_path, hub.url)
    assert got["files"]["model.safetensors"] == WEIGHTS.hex()[:20]


def test_a_download_can_be_cancelled_and_taken_up_again(tmp_path: Path) -> None:
    with serving(Hub({"org/model": WHOLE})) as hub:
        assert fetch(tmp_path, hub.url, how="cancel")["cancelled"]
        half = fetch(tmp_path, hub.url, HF_HUB_OFFLINE="1")["error"]
        assert half.startswith("org/model is only partly in the local cache")
        assert fetch(tmp_path, hub.url)["files"]["model.safetensors"] == WEIGHTS.hex()[:20]


def test_a_repository_that_cannot_be_had_says_why_in_one_sentence(tmp_path: Path) -> None:
    with serving(Hub({"org/model": WHOLE}, gated={"org/shy"})) as hub:
        shy = fetch(tmp_path, hub.url, "org/shy")["error"]
        gone = fetch(tmp_path, hub.url, "org/gone")["error"]
    offline = fetch(tmp_path, hub.url, "org/far", HF_HUB_OFFLINE="1")["error"]
    unplugged = fetch(tmp_path, "http://127.0.0.1:9", "org/far")["error"]
    assert shy == "org/shy needs its owner's permission: ask for it on the hub, then log in with `hf auth login`"
    assert gone.startswith("the hub has no repository 'org/gone', or it is private")
    for far in (offline, unplugged):
        assert far.startswith(
            "org/far is neither a directory here nor in the local cache, and the hub cannot be reached"
        )


def test_names_of_this_machine_need_no_hub(tmp_path: Path) -> None:
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "model").mkdir()
    assert resolve(str(tmp_path / "org" / "model")) == tmp_path / "org" / "model"
    assert (resolve("demo") or tmp_path).joinpath("model.safetensors").is_file()
    assert resolve("org/model") is None
    for name, message in (("demmo", "unknown model 'demmo'"), ("./nowhere", "there is no file"), ("a.ckpt", "no file")):
        with pytest.raises(ValueError, match=message):
            resolve(name)
