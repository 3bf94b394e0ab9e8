"""Estimates for several GPUs and ImageNet, from operation and parameter counts and the assumed rates below.

Nothing is measured here: the tables show what to expect, and from where on more GPUs gain nothing.
"""

from dataclasses import dataclass

from benchmarks.data import plan_model
from benchmarks.measure import run_benchmark, show
from deepen.models.layers import Layer, count_parameters, count_training_flops, plan

RATE = 94e12  # floating-point operations per second of training on an A100: airbench94, 30 % of 312e12
WITHIN = 200e9  # bytes per second of an all-reduce on each GPU's links: an A100's NVLink has 300e9 per direction
BETWEEN = {"InfiniBand, 200 Gbit/s per GPU": 8 * 25e9, "Ethernet, 25 Gbit/s per machine": 25e9 / 8}  # of 8 GPUs
BACKWARD = 2 / 3  # share of a step's operations during which gradients are already being sent
D = "conv3-64*2 maxpool conv3-128*2 maxpool conv3-256*3 maxpool conv3-512*3 maxpool conv3-512*3 maxpool fc-4096*2"
IMAGENET, VALIDATION, EPOCHS, STORED = 1_281_167, 50_000, 74, 3 * 256 * 256


@dataclass(frozen=True)
class Cluster:
    """Machines with GPUs; `rate` is the bytes per second of an all-reduce on the slowest links."""

    name: str
    gpus: int
    rate: float


CLUSTERS = [
    Cluster("1", 1, WITHIN),
    Cluster("8 in one machine", 8, WITHIN),
    *(Cluster(f"4 x 8, {name}", 32, min(rate, WITHIN)) for name, rate in BETWEEN.items()),
]


def main() -> None:
    for name, layers, batch in (("III", plan_model("III", 1.0), 1024), ("D", plan_imagenet_d(), 256)):
        show([estimate_step(layers, batch, cluster) for cluster in CLUSTERS], f"\n{name}, batches of {batch}")
    show([estimate_training(cluster) for cluster in CLUSTERS], f"\nD on ImageNet, {EPOCHS} epochs, batches of 256")


def plan_imagenet_d() -> tuple[Layer, ...]:
    """Plan the VGG paper's network D."""
    return plan(D, width=1, image=(3, 224, 224), classes=1000)


def estimate_step(layers: tuple[Layer, ...], batch: int, cluster: Cluster) -> dict[str, object]:
    """Estimate a step (milliseconds): computing, sending gradients, and both together, which partly overlap."""
    compute = count_training_flops(layers) * batch / cluster.gpus / RATE
    gradients = 4 * count_parameters(layers)
    send = 2 * (cluster.gpus - 1) / cluster.gpus * gradients / cluster.rate  # traffic of a ring all-reduce
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


def estimate_training(cluster: Cluster) -> dict[str, object]:
    """Estimate the paper's whole training of D, and its reading rate."""
    rate = compute_images_per_second(cluster)
    return {
        "GPUs": cluster.name,
        "images/s": rate,
        "hours": IMAGENET * EPOCHS / rate / 3600,
        "prepared (GB)": (IMAGENET + VALIDATION) * STORED / 1e9,
        "read (GB/s)": rate * STORED / 1e9,
    }


def compute_images_per_second(cluster: Cluster) -> float:
    """Return the images per second of D in batches of 256."""
    rate = estimate_step(plan_imagenet_d(), 256, cluster)["images/s"]
    assert isinstance(rate, int)
    return rate


if __name__ == "__main__":
    run_benchmark(main, __doc__)
