"""The checkpoint: a folder that is written, read and checked as a whole."""
