"""Convert networks: export to ONNX and torchvision, import from torchvision and plain state dicts."""
