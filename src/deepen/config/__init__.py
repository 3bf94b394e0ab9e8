"""params.yaml: validate settings, recipes and data sets; report every error with its path and remedy."""
