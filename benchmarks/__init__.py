"""Benchmarks against plain PyTorch, both measured in one run: python -m benchmarks.<name>, from the project folder."""
