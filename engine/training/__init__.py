"""Training: objectives, data, optimizers, checkpoints and export."""
