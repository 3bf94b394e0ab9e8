"""Errors, atomic file writing, checksums, YAML, names and seeds for all packages. Imports no other package."""
