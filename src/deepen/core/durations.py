"""Durations as readable text."""


def format_duration(seconds: float) -> str:
    """Format a duration: seconds below 100 s, minutes below 100 minutes, else hours."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def format_rough_duration(seconds: float) -> str:
    """Format an estimated duration, rounded to one digit, in the units of `format_duration`."""
    if seconds < 100:
        return f"{_round(seconds)} s"
    return f"{_round(seconds / 60)} min" if seconds < 100 * 60 else f"{_round(seconds / 3600):,} h"


def _round(number: float) -> int:
    return round(float(f"{number:.0e}"))
