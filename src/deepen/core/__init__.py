"""What all packages use: errors, warnings and their wording, files, checksums, YAML, names, seeds, and program entry.

Imports no other package.
"""
