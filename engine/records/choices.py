"""What a person chooses before a run: the model and how to load it, and the run itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

HOW_TO_CONSENT = "add --trust-remote-code to this command if you trust whoever published it"
"""What a refusal to run a checkpoint's own code ends with; on a page, no command is in sight."""


@dataclass(frozen=True)
class ModelChoice:
    """Which model to load and how; what a checkpoint says of itself is left None."""

    name: str = "demo"
    """a built-in, a directory or file, or a repository of the Hugging Face hub"""
    device: str = "auto"
    dtype: str = "auto"
    ema: bool = True
    """averaged weights where a checkpoint has both"""
    attention: str = "auto"
    mask_id: int | None = None
    tokenizer: str | None = None
    trust_remote_code: bool = False
    """consent to run the checkpoint's own code: given on the command line or at the terminal, never by a file"""

    def without_consent(self) -> ModelChoice:
        """Return the choice as it may be taken from a file: what a sender trusted is not for the sender to decide."""
        return replace(self, trust_remote_code=False)


@dataclass(frozen=True)
class RunChoice:
    """The arguments of a run besides its model and settings."""

    steps: int | None
    """None: one for each position to fill"""
    length: int
    batch: int = 1
    seed: int = 0
    prompt: str = ""
    chat: bool = False
    """whether the prompt is put into the model's chat template"""
    block_length: int | None = None
    """positions of a semi-autoregressive block; None: the whole canvas is one"""
    stride: int | None = None
    """by how many positions a window of `length` slides on; None: it stays"""
    strides: int = 0
    """how often it does, each time in steps of its own"""
    first: int = 0
    """number of the first sample"""
    infill: bool = False
    """whether masks written in the prompt are filled; else they are letters, as they once were"""
    special: bool = False
    """whether special tokens are read out of the prompt: a chat template has put them there"""

    @property
    def canvas(self) -> int:
        """Return positions in all."""
        return self.length + (self.stride or 0) * self.strides

    def steps_after(self, fixed: int) -> int:
        """Return the steps of the run if the prompt fixes this number of positions."""
        return max(1, self.length - fixed) if self.steps is None else self.steps
