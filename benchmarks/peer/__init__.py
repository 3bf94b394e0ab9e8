"""The peer: network and training of cifar10-airbench (arXiv 2404.00498), written from its description."""
