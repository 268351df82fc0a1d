"""Measurements that stand in the README: ours beside what a user would pick instead, in one run."""
