"""Photographs: from a file or an archive of somebody unknown to upright pixels, and to the frame that a model sees."""
