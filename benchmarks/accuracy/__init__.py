"""Accuracy for compute: ladders, single models and the peer, trained for equal FLOPs on the same images."""
