"""Tasks with a truth: answers of a sampler to the items of lm-evaluation-harness, and how often they are right."""
