"""The GPU check: the tests that need CUDA and the benchmarks of one card, in one command."""
