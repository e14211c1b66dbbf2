"""The debugger's half of the engine: conditions to stop at, laws, the story of a position, branches."""
