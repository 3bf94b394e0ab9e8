"""One thin script a stage: read the settings, call the library, write the files that dvc.yaml declares."""

from pipeline.shared import stage as stage  # first: it sees the code as it is before that is imported
