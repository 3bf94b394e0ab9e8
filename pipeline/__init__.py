"""The stages of dvc.yaml, one script each: read the settings, call the library, write the declared files."""

from pipeline.shared import stopping as stopping  # first: it answers signals during the imports

# isort: split
from pipeline.shared import stage as stage  # second: it takes the code's checksums before the code is imported
