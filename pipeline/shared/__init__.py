"""What several stages have in common: their files, the project, and that what they read stays as it was."""
