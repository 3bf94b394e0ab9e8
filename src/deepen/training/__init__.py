"""Training: steps, the loop, optimizers, learning-rate schedules, losses, checkpoints and progress display."""
