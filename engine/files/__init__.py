"""Read and write files: atomic writes, locks, digests.  No torch."""
