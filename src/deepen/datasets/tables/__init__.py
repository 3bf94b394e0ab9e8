"""Data sets whose classes a table lists: find the table, read it, and load the images that it names."""
