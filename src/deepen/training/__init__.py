"""Training: steps, the loop, optimizers, schedules, losses, checkpoints, and what is shown while it runs."""
