"""Image files to pixels: formats, headers, orientation, sample depth, and worker processes with bounded memory."""
