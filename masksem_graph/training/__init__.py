"""The loop: optimiser, checkpoints, figures, devices."""
