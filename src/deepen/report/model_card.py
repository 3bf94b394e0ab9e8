"""The model card of a network: Markdown with YAML front matter, as model hubs expect it in README.md."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from deepen.core.counts import pluralize
from deepen.core.errors import trim
from deepen.evaluation.intervals import wilson_interval
from deepen.models.layers import count_parameters
from deepen.models.notation import count_weight_layers
from deepen.models.weights import ModelCard
from deepen.records.record import Record
from deepen.report.card_limits import list_limits
from deepen.report.confusion import summarize_classes
from deepen.report.gains import describe_gains
from deepen.report.tables import compute_majority_metrics, format_heading, format_interval

Format = Literal["safetensors", "onnx", "torchvision"]
MOST_CLASSES = 200  # with a row of their own
_MOST_NAMES = 1000
_HUB_NAMES = {  # of data sets, on the Hugging Face Hub
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
}
_USE: dict[Format, str] = {
    "safetensors": "```python\nimport deepen\n\nnetwork = deepen.load({file})\n"
    'probabilities = network.predict(["photo.jpg"])  # (images, classes)\n'
    "print(network.classes[probabilities[0].argmax()])\n```\n\nDeepen reads image files, and averages over the mirror "
    "image where a mirrored image keeps its class.",
    "onnx": "```python\nimport onnxruntime\n\nsession = onnxruntime.InferenceSession({file})\n"
    'logits, probabilities = session.run(None, {{"images": images}})  # uint8 (batch, channels, height, width)\n```\n\n'
    "The file normalizes the images itself. Its metadata has the names of the classes.",
    "torchvision": "```python\nimport torchvision\nfrom safetensors.torch import load_file\n\n"
    "network = torchvision.models.{net}(num_classes={classes})\nnetwork.load_state_dict(load_file({file}))\n```\n\n"
    "Images are values from 0 to 1, normalized with `Normalize({mean}, [1.0, 1.0, 1.0])`.",
}


def format_card(
    card: ModelCard,
    checksum: str,
    records: Sequence[Record],
    file: str,
    form: Format = "safetensors",
    net: str = "",
    *,
    untrained: bool = False,
) -> str:
    """Return the model card of a network in a `file`.

    `records` are those of the model and of its ancestors, shallowest first; without them, the card says that its
    results are not known, or that the weights are `untrained`. `net` is the name of a torchvision network.
    """
    environment = Environment(
        loader=PackageLoader("deepen.report", ""), undefined=StrictUndefined, trim_blocks=False, autoescape=False
    )
    environment.filters["cell"] = format_cell
    record = records[-1] if records else None
    use = _USE[form].format(file=_quote_python(file), net=net, classes=len(card.classes), mean=list(card.mean))
    text = environment.get_template("card.md.j2").render(
        card=card,
        record=record,
        records=records,
        checksum=checksum,
        use=use,
        image="x".join(map(str, card.image)),
        front_matter=_format_front_matter(card, record, form),
        summary=_summarize(card, record, untrained),
        untrained=untrained,
        names=", ".join(format_cell(name) for name in trim(card.classes, _MOST_NAMES)),
        limits=list_limits(card, record, exported=form != "safetensors", untrained=untrained),
        **(_describe_results(card, records) if record else {"rows": []}),
    )
    return text.rstrip("\n") + "\n"


def format_cell(text: object) -> str:
    """Format a text that may have characters of Markdown, for a cell of a table or a line."""
    return "".join(f"\\{each}" if each in r"\`*_{}[]<>()#+-!|~" else each for each in str(text).replace("\n", " "))


def _summarize(card: ModelCard, record: Record | None, untrained: bool) -> str:
    layers, parameters = count_weight_layers(card.layers), count_parameters(card.plan())
    network = f"A VGG-style image classifier with {layers} weight layers and {parameters:,} parameters"
    if untrained:
        return f"{network}. **Its weights are those before its training**, and not the result."
    if record is None:
        return f"{network}."
    accuracy = f"{record.metrics['top1']:.2f} % (95 % interval {format_interval(record)})"
    return f"{network}. It classifies {accuracy} of {pluralize(record.test_images, 'test image')} correctly."


def _format_front_matter(card: ModelCard, record: Record | None, form: Format) -> str:
    content: dict[str, Any] = {
        "library_name": {"safetensors": "deepen", "onnx": "onnx", "torchvision": "torchvision"}[form],
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "vgg", "deepen"],
    }
    if record:
        if record.source in _HUB_NAMES:
            content["datasets"] = [_HUB_NAMES[record.source]]
        content |= {"metrics": ["accuracy"], "model-index": [{"name": _quote(card.model), "results": [_index(record)]}]}
    stream = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style, yaml.allow_unicode, yaml.width = False, True, 10_000
    yaml.dump(content, stream)
    return stream.getvalue()


def _quote_python(name: str) -> str:
    """Return a file name as a string of Python, also one with a line break or a quote."""
    return f'"{name}"' if name.isprintable() and not {*name} & {'"', "\\"} else ascii(name)


def _quote(name: str) -> str:
    """Return a name that is written in quotes, so that YAML 1.1, which hubs read, takes `no` and `1e3` as text."""
    quoted: str = DoubleQuotedScalarString(name)
    return quoted


def _index(record: Record) -> dict[str, Any]:
    """Return the results in the form of the hub's model index; values are fractions."""
    dataset = {"name": _quote(record.named), "type": _HUB_NAMES.get(record.source, record.source), "split": "test"}
    metrics = [
        {
            "type": "accuracy",
            "name": f"top-{k} accuracy, 95 % interval {low / 100:.4f} to {high / 100:.4f}",
            "value": round(correct / record.test_images, 6),
        }
        for k, correct in enumerate(record.correct, 1)
        for low, high in [wilson_interval(correct, record.test_images)]
    ]
    task = {"type": "image-classification", "name": "Image classification"}
    return {"task": task, "dataset": dataset, "metrics": metrics}


def _describe_results(card: ModelCard, records: Sequence[Record]) -> dict[str, Any]:
    record = records[-1]
    classes = summarize_classes(record.confusion, record.classes) if record.classes <= MOST_CLASSES else []
    right = {cell.actual: (cell.class_size, f"{cell.percent:.1f}") for cell, _ in classes}
    rows = [(name, *right.get(label, (0, "not known"))) for label, name in enumerate(card.classes)]
    return {
        "results": list(_list_metrics(record)),
        "tested": pluralize(record.test_images, "test image"),
        "majority": f"{compute_majority_metrics(record)['top1']:.2f}",
        "gains": describe_gains(records),
        "rows": rows if classes else [],
        "lineage": [_describe_model(each) for each in records],
        "settings": [*_flatten(record.training.settings), *record.training.versions.items()],
    }


def _list_metrics(record: Record) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and interval of each metric; only accuracies over all images have an interval."""
    intervals = {f"top{k}": wilson_interval(correct, record.test_images) for k, correct in enumerate(record.correct, 1)}
    for name, value in record.metrics.items():
        interval = "{:.2f} to {:.2f}".format(*intervals[name]) if name in intervals else "not computed"
        yield format_heading(name), f"{value:.3f}" if name == "loss" else f"{value:.2f}", interval


def _describe_model(record: Record) -> tuple[str, ...]:
    kinds = [tensor.kind for tensor in record.tensors]
    size = (str(count_weight_layers(record.layers)), f"{record.parameters:,}")
    accuracy = (f"{record.metrics['top1']:.2f}", format_interval(record))
    moved = f"{kinds.count('copied')}, {kinds.count('fresh')}"
    return (record.model, record.after, *size, *accuracy, moved, f"`{record.weights[:12]}`")


def _flatten(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
