"""A watched run in one file: written while it runs, safe against a crash, read without torch.

`Recorder` writes, `Recording` reads, and either hands out traces that read like `engine.sampling.trace.Trace`.
"""

from engine.recording.entries import Header, Mark
from engine.recording.recorder import Recorder
from engine.recording.recording import RecordedTrace, Recording

__all__ = ["Header", "Mark", "RecordedTrace", "Recorder", "Recording"]
