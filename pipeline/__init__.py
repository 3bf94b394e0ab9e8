"""The stages of dvc.yaml, one script each: read the settings, call the library, write the declared files."""

from pipeline.shared import stage as stage  # first: it takes the code's checksums before the code is imported
