"""Write figures of the studies and benchmarks."""

from pathlib import Path

from matplotlib.figure import Figure

from deepen.core.files import write_atomically


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG file without metadata, so that equal figures give equal bytes."""
    with write_atomically(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
