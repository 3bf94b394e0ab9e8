"""params.yaml: settings, recipes and data sets, checked; every fault is reported with its path and remedy."""
