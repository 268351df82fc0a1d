"""Training: from normal images to a checkpoint, and from a checkpoint and a few photographs to one class more."""
