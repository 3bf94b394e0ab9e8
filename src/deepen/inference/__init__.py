"""A trained network in use: files, arrays or PIL images in, probabilities out."""
