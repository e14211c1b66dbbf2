"""Standard output and standard error: text for people is sanitized.  Rich is imported only for grids."""
