"""Measurements that stand in RESULTS.md: ours beside what a user would pick instead, in one run."""
