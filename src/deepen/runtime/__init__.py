"""The machine: devices, memory, process groups, locks, and how a signal ends a run."""
