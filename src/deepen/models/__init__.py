"""Networks: the layer notation, layer roles and shapes, PyTorch modules, and weights files."""
