"""Inference with a trained network: files, arrays or PIL images to class probabilities."""
