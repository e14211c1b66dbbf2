"""Files as the engine reads and writes them: whole or not at all, locked, digested.  No torch."""
