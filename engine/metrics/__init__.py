"""Metrics of samples and models: entropy, diversity, generative perplexity, MAUVE, likelihood, each with its
conventions and its uncertainty."""
