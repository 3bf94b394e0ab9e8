"""DVC experiments: setting overrides, the queue, and the comparison of results."""
