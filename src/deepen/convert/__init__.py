"""Networks of other programs: ONNX, torchvision, and state dicts of plain networks."""
