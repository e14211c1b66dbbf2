"""The sampler: sessions and batches over steps, and the arithmetic under them."""
