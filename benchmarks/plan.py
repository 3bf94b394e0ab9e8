"""On paper: what several GPUs and ImageNet take, from operation and parameter counts and the rates given here.

Nothing is measured by this: it says what to expect, and where more GPUs stop paying.
"""

from dataclasses import dataclass

from benchmarks.data import ladder_layers
from benchmarks.measure import show
from deepen.models.layers import Layer, parameters, plan, training_flops

RATE = 94e12  # floating-point operations a second that training reaches on an A100: airbench94, 30 % of 312e12
IN_A_BOX = 200e9  # bytes a second that an all-reduce moves on each GPU's links: NVLink of an A100 has 300e9 a direction
BETWEEN = {"InfiniBand, 200 Gbit/s for each GPU": 8 * 25e9, "Ethernet, 25 Gbit/s for a box": 25e9 / 8}  # a box of 8
BACKWARD = 2 / 3  # of a step's operations: the share of it in which gradients are already on their way
D = "conv3-64*2 maxpool conv3-128*2 maxpool conv3-256*3 maxpool conv3-512*3 maxpool conv3-512*3 maxpool fc-4096*2"
IMAGENET, VALIDATION, EPOCHS, STORED = 1_281_167, 50_000, 74, 3 * 256 * 256


@dataclass(frozen=True)
class Cluster:
    """Boxes of GPUs; `rate` is what an all-reduce moves on its slowest links, in bytes a second."""

    name: str
    gpus: int
    rate: float


CLUSTERS = [
    Cluster("1", 1, IN_A_BOX),
    Cluster("8 in a box", 8, IN_A_BOX),
    *(Cluster(f"4 x 8, {name}", 32, min(rate, IN_A_BOX)) for name, rate in BETWEEN.items()),
]


def main() -> None:
    for name, layers, batch in (("III", ladder_layers("III", 1.0), 1024), ("D", imagenet_d(), 256)):
        show([step(layers, batch, cluster) for cluster in CLUSTERS], f"\n{name}, batches of {batch}")
    show([training(cluster) for cluster in CLUSTERS], f"\nD on ImageNet, {EPOCHS} epochs, batches of 256")


def imagenet_d() -> tuple[Layer, ...]:
    """The paper's network D."""
    return plan(D, width=1, image=(3, 224, 224), classes=1000)


def step(layers: tuple[Layer, ...], batch: int, cluster: Cluster) -> dict[str, object]:
    """A step's parts in milliseconds: what is computed, what is sent, and what of that computing does not hide."""
    compute = training_flops(layers) * batch / cluster.gpus / RATE
    gradients = 4 * parameters(layers)
    send = 2 * (cluster.gpus - 1) / cluster.gpus * gradients / cluster.rate  # a ring sends each byte so often
    waits = max(0.0, send - BACKWARD * compute)
    return {
        "GPUs": cluster.name,
        "all-reduced (MB)": gradients / 1e6,
        "computes (ms)": 1e3 * compute,
        "sends (ms)": 1e3 * send,
        "step (ms)": 1e3 * (compute + waits),
        "images/s": round(batch / (compute + waits)),
        "of the GPUs' rate (%)": round(100 * compute / (compute + waits)),
        "hidden up to (GPUs)": round(1 + BACKWARD * compute * cluster.gpus * cluster.rate / (2 * gradients)),
    }


def training(cluster: Cluster) -> dict[str, object]:
    """The paper's training of D as a whole, and what it reads."""
    rate = batch_rate(cluster)
    return {
        "GPUs": cluster.name,
        "images/s": rate,
        "hours": IMAGENET * EPOCHS / rate / 3600,
        "prepared (GB)": (IMAGENET + VALIDATION) * STORED / 1e9,
        "read (GB/s)": rate * STORED / 1e9,
    }


def batch_rate(cluster: Cluster) -> float:
    """Images a second of D in batches of 256."""
    found = step(imagenet_d(), 256, cluster)["images/s"]
    assert isinstance(found, int)
    return found


if __name__ == "__main__":
    main()
