"""Everything that a session takes from the user's directories."""

from __future__ import annotations

from dataclasses import dataclass, field

from remdm_tui.preferences.config_file import Configuration
from remdm_tui.preferences.last_session import Memory, Remembered


@dataclass(frozen=True)
class Preferences:
    """The default is for sessions without a user's directories."""

    configuration: Configuration = field(default_factory=Configuration)
    memory: Memory = field(default_factory=Memory)
    fresh: bool = False
    """whether to begin as the first session did"""
    kept: frozenset[str] = frozenset()
    """strategies whose knobs, as this session ends with them, the next one begins with"""
    tours: bool = False
    """whether who has never seen the first steps sees them now"""

    @property
    def start(self) -> Remembered:
        """What the session restores."""
        last = self.memory.last
        return Remembered(toured=last.toured) if self.fresh or not self.configuration.remember else last
