"""Deepen trains a shallow VGG-style network, then grows it deeper, and measures what growing buys."""

__version__ = "0.1.0"
