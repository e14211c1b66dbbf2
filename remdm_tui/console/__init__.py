"""Standard output and standard error: text for people is sanitized.  Standard library alone."""
