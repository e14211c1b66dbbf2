"""The command line; every heavy import lives inside its command."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

BAD_INPUT = 2
INTERRUPTED = 130


class Group(TyperGroup):
    """The commands; the one place where bad input becomes a sentence.

    The engine and the commands raise ValueError for input that is wrong and OSError for files that cannot
    be had; any other exception is a bug and keeps its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # the reader has had enough; what Python still flushes at exit goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            complain("stopped")
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            raise typer.Exit(BAD_INPUT) from None
        except ValueError as error:
            complain(str(error))
            raise typer.Exit(BAD_INPUT) from None


class Described(TyperCommand):
    """A command whose help has `{option}` where `remdm_tui.facts` knows ranges, choices and defaults."""

    def get_help(self, ctx: Any) -> str:
        from remdm_tui.facts import facts

        known = facts()
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text:
                parameter.help = text.format_map(known)  # type: ignore[attr-defined]
        return super().get_help(ctx)


def complain(sentence: str) -> None:
    typer.echo(f"remdm-tui: {sentence}", err=True)


app = typer.Typer(
    cls=Group, rich_markup_mode=None, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A wind tunnel and a debugger for the samplers of masked discrete diffusion language models.",
)  # fmt: skip
lists = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="What there is to choose from.")
app.add_typer(lists, name="list")


def show_version(wanted: bool) -> None:
    if wanted:
        from engine import __version__

        typer.echo(f"remdm-tui {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True)
    ] = False,
) -> None: ...


def option(name: str, text: str, **more: Any) -> Any:
    return typer.Option(name, help=text, show_default=False, **more)


# every option that a preset can set is None where nothing was said, so that what was said wins over the preset
Model = Annotated[
    str | None,
    option("--model", "A built-in model, a directory, a file or a Hugging Face id such as org/name; {model}."),
]
NoEma = Annotated[bool, option("--no-ema", "The weights as trained where a checkpoint also has averaged ones.")]
Attention = Annotated[str | None, option("--attention", "auto | flash4 | flash2 | written | sdpa; {attention}.")]
MaskId = Annotated[int | None, option("--mask-id", "The mask token's number where the checkpoint does not say.")]
TokenizerName = Annotated[
    str | None, option("--tokenizer", "Directory, file or hub id of the tokenizer where the checkpoint has none.")
]
TrustRemoteCode = Annotated[
    bool, option("--trust-remote-code", "Run Python code that comes with the checkpoint; never done otherwise.")
]
Chat = Annotated[bool | None, option("--chat", "Put the prompt into the model's chat template.")]
BlockLength = Annotated[
    int | None, option("--block-length", "Positions of a semi-autoregressive block, 1 or more; default: one block.")
]
PresetName = Annotated[str | None, option("--preset", "Settings by name, under the options given: {preset}.")]
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
Steps = Annotated[int | None, option("--steps", "Steps T from all masked to clean, 1 or more; {steps}.")]
Length = Annotated[int | None, option("--length", "Tokens L, prompt included, 1 to the model's length; {length}.")]
Seed = Annotated[int | None, option("--seed", "Same seed, same text; 0 or more, {seed}.")]
Prompt = Annotated[str | None, option("--prompt", "Text that the canvas begins with and that stays.")]
Device = Annotated[str | None, option("--device", "auto (CUDA, else MPS, else CPU) or a torch device; {device}.")]
Dtype = Annotated[str | None, option("--dtype", "float32 | bfloat16 | auto (bfloat16 on CUDA, else float32); {dtype}.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable, as JSON.")]


@app.command(cls=Described)
def watch(
    ctx: typer.Context,
    model: Model = None,
    preset: PresetName = None,
    strategy: StrategyName = None,
    eta: Eta = None,
    knob: KnobValues = None,
    top_p: TopP = None,
    temperature: Temperature = None,
    nucleus: Nucleus = None,
    draw: Draw = None,
    steps: Steps = None,
    length: Length = None,
    batch: Annotated[int | None, option("--batch", "Samples side by side, 1 or more; {batch}.")] = None,
    seed: Seed = None,
    prompt: Prompt = None,
    chat: Chat = None,
    block_length: BlockLength = None,
    device: Device = None,
    dtype: Dtype = None,
    no_ema: NoEma = False,
    attention: Attention = None,
    mask_id: MaskId = None,
    tokenizer: TokenizerName = None,
    trust_remote_code: TrustRemoteCode = False,
    on: Annotated[
        str | None, option("--on", "Run the engine on this host, through your ssh; the terminal stays here.")
    ] = None,
    remote_python: Annotated[
        str | None,
        option("--remote-python", "The Python on that host that has remdm-tui; default: `remdm-tui serve` there."),
    ] = None,
    remote_command: Annotated[
        str | None,
        option(
            "--remote-command", "What launches `remdm-tui serve` in place of ssh: apptainer, srun, kubectl exec ..."
        ),
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Stand still at step 0.")] = False,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Draw with ASCII alone.")] = False,
    no_mouse: Annotated[bool, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")] = False,
) -> None:
    """Watch a sampler live, and turn its knobs in flight."""
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise ValueError("watch needs a terminal for its input and output; in a pipe use `remdm-tui sample`")
    from remdm_tui.asked import Asked
    from remdm_tui.remote import engine_elsewhere

    command, where = engine_elsewhere(on, remote_python, remote_command)
    options = Asked.of(ctx.params).options(
        paused=paused, ascii=ascii_only, mouse=not no_mouse, command=command, where=where
    )
    from remdm_tui.app import run

    raise typer.Exit(run(options))


@app.command(cls=Described)
def sample(
    ctx: typer.Context,
    model: Model = None,
    preset: PresetName = None,
    strategy: StrategyName = None,
    eta: Eta = None,
    knob: KnobValues = None,
    top_p: TopP = None,
    temperature: Temperature = None,
    nucleus: Nucleus = None,
    draw: Draw = None,
    steps: Steps = None,
    length: Length = None,
    batch: Annotated[
        int | None, option("--batch", "Samples in the network at once, 1 or more; changes the speed, not the text.")
    ] = None,
    seed: Seed = None,
    prompt: Prompt = None,
    chat: Chat = None,
    block_length: BlockLength = None,
    device: Device = None,
    dtype: Dtype = None,
    no_ema: NoEma = False,
    attention: Attention = None,
    mask_id: MaskId = None,
    tokenizer: TokenizerName = None,
    trust_remote_code: TrustRemoteCode = False,
    count: Annotated[int, typer.Option("--count", help="Samples, 1 or more.")] = 4,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line: number, seed, text, ids, network_calls, settings.")
    ] = False,
) -> None:
    """Write samples as plain text or JSON.

    Each is written as soon as it is finished, so not always in order; a line of --- stands between two.
    """
    from remdm_tui.asked import Asked, at_least_one

    asked = Asked.of(ctx.params)
    options = asked.options()
    at_least_one("count", count)
    from remdm_tui.commands.sample import run

    run(options, count=count, width=asked.batch, as_json=as_json)


@app.command(cls=Described)
def doctor(
    ctx: typer.Context,
    model: Model = None,
    device: Device = None,
    dtype: Dtype = None,
    no_ema: NoEma = False,
    attention: Attention = None,
    mask_id: MaskId = None,
    tokenizer: TokenizerName = None,
    trust_remote_code: TrustRemoteCode = False,
    as_json: Json = False,
) -> None:
    """Say what is here: versions, devices, attention, terminal; with --model, whether it loads and knows its text."""
    from remdm_tui.asked import Asked
    from remdm_tui.commands.doctor import run

    run(Asked.of(ctx.params).choice(), load=model is not None, as_json=as_json)


@app.command(hidden=True)
def serve() -> None:
    """Be the engine of a terminal elsewhere, on standard input and output."""
    from engine.serve import main as engine

    engine()


@lists.command("strategies")
def list_strategies(as_json: Json = False) -> None:
    """The samplers, with their knobs."""
    from remdm_tui.commands.listing import strategies

    typer.echo(strategies(as_json))


@lists.command("models")
def list_models(as_json: Json = False) -> None:
    """Models by name, in the package and of the Hugging Face hub; any other directory, file or id loads too."""
    from remdm_tui.commands.listing import models

    typer.echo(models(as_json))


@lists.command("presets")
def list_presets(as_json: Json = False) -> None:
    """Sampling settings by name."""
    from remdm_tui.commands.listing import presets

    typer.echo(presets(as_json))


@app.command(cls=Described)
def train(
    config: Annotated[Path, typer.Option("--config", help="A training configuration, in TOML.")],
    data: Annotated[
        list[Path], typer.Option("--data", help="Text, .jsonl or .jsonl.gz with a `text` a line; any number of times.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The run's directory; a run found there is continued.")],
    device: Device = None,
    steps: Annotated[
        int | None, option("--steps", "Train to this step, 1 or more; default: the configuration's.")
    ] = None,
    cache: Annotated[
        Path | None, option("--cache", "Where tokenised data is kept; default: `cache` beside the run's directory.")
    ] = None,
    export_only: Annotated[
        bool, typer.Option("--export-only", help="Do not train; write the best weights so far to OUT/model.")
    ] = False,
) -> None:
    """Train a model to watch and to evaluate.

    Interrupt it at any time: the same command continues.  At the end the best averaged weights are
    written to OUT/model, which `--model OUT/model` of the other commands takes.
    """
    from remdm_tui.commands.train import run

    code = run(
        config, data, out, device=device, steps=steps, cache=cache or out.parent / "cache", export_only=export_only
    )
    raise typer.Exit(code)


@app.command(cls=Described)
def bench(
    parts: Annotated[
        list[str] | None, typer.Argument(help="What to measure: {parts}; default all.", show_default=False)
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Sizes that take seconds, to see that it runs.")] = False,
    dtype: Annotated[
        list[str] | None, option("--dtype", "float32 | bfloat16, any number of times; default both.")
    ] = None,
    law: Annotated[
        list[str] | None,
        option("--law", "The dense side's probabilities: network | float64, any number of times; default both."),
    ] = None,
    allocator: Annotated[
        list[str] | None,
        option("--allocator", "The C library's: default | keeping, any number of times; default both."),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", help="Threads of torch; 0 is its own choice.")] = 0,
    repeats: Annotated[int, typer.Option("--repeats", help="Timed steps; 0 is the documented number.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Of weights and samples.")] = 0,
    as_json: Json = False,
) -> None:
    """Measure the sampler's step against the dense one."""
    from remdm_tui.commands.bench import run

    run(
        parts or (), quick=quick, as_json=as_json, dtypes=dtype or (), laws=law or (), allocators=allocator or (),
        threads=threads, repeats=repeats, seed=seed,
    )  # fmt: skip


def is_terminal(stream: Any) -> bool:
    """False also for a stream that was closed."""
    return stream is not None and not stream.closed and stream.isatty()


def main() -> None:
    """Entry point of `remdm-tui`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
