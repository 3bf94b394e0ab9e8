"""Networks: the layer notation, layouts with roles and shapes, PyTorch modules, and weights files."""
