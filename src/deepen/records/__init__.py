"""Files about a model besides its weights: transfer report, training history and results."""
