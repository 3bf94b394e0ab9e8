"""Code shared by the stages: file paths, project folder, error handling, and checks of their inputs."""
