"""Durations as readable text."""


def format_duration(seconds: float) -> str:
    """Format a duration: seconds below 100 s, minutes below 100 minutes, else hours."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
