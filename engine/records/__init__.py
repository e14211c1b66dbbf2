"""What the engine sends and receives: plain data, numpy only, the same on both sides of the wire."""

from engine.records.choices import HOW_TO_CONSENT, ModelChoice, RunChoice
from engine.records.frames import PUT, UNCHANGED, UNKNOWN_DRAW, Branch, Change, Edit, Frame
from engine.records.knobs import Knob, KnobInfo, StrategyInfo
from engine.records.layout import GridLayout
from engine.records.models import ModelCheck, ModelInfo
from engine.records.settings import GUIDANCE, SAMPLING, SHARED, SHARED_KNOBS, Settings

__all__ = [
    "GUIDANCE",
    "HOW_TO_CONSENT",
    "PUT",
    "SAMPLING",
    "SHARED",
    "SHARED_KNOBS",
    "UNCHANGED",
    "UNKNOWN_DRAW",
    "Branch",
    "Change",
    "Edit",
    "Frame",
    "GridLayout",
    "Knob",
    "KnobInfo",
    "ModelCheck",
    "ModelChoice",
    "ModelInfo",
    "RunChoice",
    "Settings",
    "StrategyInfo",
]
