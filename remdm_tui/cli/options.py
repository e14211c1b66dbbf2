"""The options that commands share, each declared once, and the decorator that adds them to a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any

import typer


def option(name: str, text: str, **more: Any) -> Any:
    """Return an option whose help text gives the default itself."""
    return typer.Option(name, help=text, show_default=False, **more)


Model = Annotated[
    str | None,
    option("--model", "A built-in model, a directory, a file or a Hugging Face id such as org/name; {model}."),
]
NoEma = Annotated[bool, option("--no-ema", "Use the trained weights of a checkpoint that also has averaged ones.")]
Attention = Annotated[str | None, option("--attention", "auto | flash4 | flash2 | written | sdpa; {attention}.")]
MaskId = Annotated[int | None, option("--mask-id", "Id of the mask token, if the checkpoint does not name it.")]
TokenizerName = Annotated[
    str | None, option("--tokenizer", "Directory, file or hub id of the tokenizer, if the checkpoint has none.")
]
TrustRemoteCode = Annotated[
    bool, option("--trust-remote-code", "Run Python code that comes with the checkpoint. Never done otherwise.")
]
Chat = Annotated[bool | None, option("--chat", "Put the prompt into the model's chat template.")]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code-execution",
        help="Run code that the model has written, for tasks that need it; with limits of time and memory.",
    ),
]
BlockLength = Annotated[
    int | None, option("--block-length", "Positions of a semi-autoregressive block, 1 or more; default: one block.")
]
PresetName = Annotated[
    str | None, option("--preset", "Settings by name or from a .toml file, under the options given: {preset}.")
]
StrategyName = Annotated[str | None, option("--strategy", "{strategy}.")]
Eta = Annotated[float | None, option("--eta", "Short for --knob eta=VALUE.")]
KnobValues = Annotated[
    list[str] | None,
    option("--knob", "A knob of the strategy as name=value, any number of times; `list strategies` shows them."),
]
TopP = Annotated[float | None, option("--top-p", "{top_p}.")]
Temperature = Annotated[float | None, option("--temperature", "{temperature}.")]
Nucleus = Annotated[str | None, option("--nucleus", "{nucleus}.")]
Draw = Annotated[str | None, option("--draw", "{draw}.")]
Cfg = Annotated[float | None, option("--cfg", "{cfg}.")]
EosBias = Annotated[float | None, option("--eos-bias", "{eos_bias}.")]
EosConfidence = Annotated[str | None, option("--eos-confidence", "{eos_confidence}.")]
Steps = Annotated[int | None, option("--steps", "Steps T from all masked to clean, 1 or more; {steps}.")]
Length = Annotated[int | None, option("--length", "Tokens L, prompt included, 1 to the model's length; {length}.")]
Seed = Annotated[int | None, option("--seed", "Same seed, same text; 0 or more, {seed}.")]
Prompt = Annotated[
    str | None,
    option(
        "--prompt",
        "Prompt: fixed at the start of the sequence. Masks in it are filled: {{mask}}, {{mask*8}}, [MASK].",
    ),
]
PromptLiteral = Annotated[str | None, option("--prompt-literal", "A prompt taken literally: masks in it are text.")]
Device = Annotated[str | None, option("--device", "auto (CUDA, else MPS, else CPU) or a torch device; {device}.")]
Dtype = Annotated[str | None, option("--dtype", "float32 | bfloat16 | auto (bfloat16 on CUDA, else float32); {dtype}.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable, as JSON.")]
Ascii = Annotated[bool, typer.Option("--ascii", help="Draw with ASCII characters only.")]
NoMouse = Annotated[bool, typer.Option("--no-mouse", help="Do not capture the mouse.")]
Stride = Annotated[
    int | None,
    option("--stride", "Positions by which a window of --length moves, for a text longer than the model's length."),
]
Strides = Annotated[int | None, option("--strides", "How often the window moves, 1 or more; default 1.")]
SemiAr = Annotated[
    bool, option("--semi-ar", "Continue beyond --length by windows that move half a length, or --stride.")
]
Batch = Annotated[
    int | None,
    option(
        "--batch",
        "Samples in the network at once, 1 or more; default 8 on a CPU, 64 on a GPU. Changes only the speed.",
    ),
]

# an option that a preset can set is None unless it is given, so that a given one wins over the preset
MODEL: Mapping[str, Any] = {
    "model": Model, "device": Device, "dtype": Dtype, "no_ema": NoEma, "attention": Attention, "mask_id": MaskId,
    "tokenizer": TokenizerName, "trust_remote_code": TrustRemoteCode,
}  # fmt: skip
SAMPLING: Mapping[str, Any] = {
    "preset": PresetName, "strategy": StrategyName, "eta": Eta, "knob": KnobValues, "top_p": TopP,
    "temperature": Temperature, "nucleus": Nucleus, "draw": Draw, "cfg": Cfg, "eos_bias": EosBias,
    "eos_confidence": EosConfidence, "steps": Steps, "length": Length, "seed": Seed,
    "prompt": Prompt, "prompt_literal": PromptLiteral, "chat": Chat, "block_length": BlockLength, "semi_ar": SemiAr,
    "stride": Stride, "strides": Strides,
}  # fmt: skip


def shared(*groups: Mapping[str, Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of these groups before a command's own; the command reads them from its context."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True).parameters
        common = {
            name: inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=False if is_flag(kind) else None
            )
            for group in groups
            for name, kind in group.items()
        }
        # Typer passes arguments by name
        merged = common | {name: each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, each in own.items()}

        @wraps(command)
        def call(**given: Any) -> Any:
            return command(**{name: given[name] for name in own})

        call.__signature__ = inspect.Signature(list(merged.values()))  # type: ignore[attr-defined]
        call.__annotations__ = {name: each.annotation for name, each in merged.items()}
        return call

    return decorate


def is_flag(kind: Any) -> bool:
    """Return whether an annotated type is that of an option without a value."""
    return kind.__origin__ is bool
