"""Experiment trackers of other programs: a run per model in TensorBoard, MLflow or Weights & Biases."""
