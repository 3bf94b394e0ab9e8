"""Groups of experiments that differ only in their seed: what to run, tables over seeds, and comparisons."""
