"""Recognition of what a tracker sees now: frames in, class probabilities out, a few times a second."""
