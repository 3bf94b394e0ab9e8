"""Ratios against plain PyTorch, measured in one run: python -m benchmarks.<name>, from the root of a clone."""
