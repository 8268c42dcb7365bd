"""Pictures of a run: saliency, smoothing, masks, reconstruction, and the map of its features."""
