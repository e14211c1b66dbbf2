"""The user's configuration, and the end of the last session."""
