"""Decoding of image files: formats, headers, orientation, bit depth, and worker processes with bounded memory."""
