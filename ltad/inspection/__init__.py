"""Inspection: a photograph in, what is known of it out; and what can be known of the learned names."""
