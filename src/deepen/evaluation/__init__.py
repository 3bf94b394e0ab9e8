"""Evaluation: top-k accuracy, views of an image, predictions, and confidence intervals."""
