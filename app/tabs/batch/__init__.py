"""The Batch tab: what it shows and does, and the batch itself."""
