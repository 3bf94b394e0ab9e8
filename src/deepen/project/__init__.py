"""New projects: the files that `deepen init` writes, and settings that fit a folder of images."""
