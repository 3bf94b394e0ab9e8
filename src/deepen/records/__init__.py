"""What is kept of a model besides its weights: its transfer, its training history, its results."""
