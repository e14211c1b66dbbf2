"""What samples and models are worth: entropy, diversity, generative perplexity, MAUVE, likelihood, each with its
conventions and its uncertainty."""
