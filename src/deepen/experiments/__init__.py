"""Experiments of DVC: changes of settings, the queue, and results next to each other."""
