"""Judging: from what the model gives to a score, and from a score to a verdict. Tensors and numbers only."""
