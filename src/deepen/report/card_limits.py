"""What the numbers of a model card do not say, and what is not known."""

from collections.abc import Iterator

from deepen.core.counts import pluralize
from deepen.data.images import FEW
from deepen.models.weights import ModelCard
from deepen.records.record import Record
from deepen.report.confusion import count_class_images
from deepen.report.training_notes import describe_weakness


def list_limits(card: ModelCard, record: Record | None, *, exported: bool, untrained: bool) -> list[str]:
    """Return sentences for people who consider using a network, in Deepen or `exported` to another program."""
    measured = [*_list_measured(card, record), *(_list_exported(record) if exported else ())] if record else []
    if untrained:
        measured = ["Its weights are those before its training: do not rely on the classes that it names."]
    elif record is None:
        measured = ["Whether it is trained is not known."]
    return [*measured, *_list_unknown(card)]


def _list_measured(card: ModelCard, record: Record) -> Iterator[str]:
    yield (
        f"One training, with seed {record.training.settings.get('seed', 'not known')}. The intervals say how far other "
        "test images of the same kind may change an accuracy, and not how far another seed would."
    )
    yield (
        f"It was tested on {pluralize(record.test_images, 'image')} of `{record.named}` alone. Its accuracy on images "
        "of other origin is not known."
    )
    yield "Whether its settings were chosen by looking at the test images is not known."
    sizes = count_class_images(record.confusion, record.classes)
    if few := [name for name, size in zip(card.classes, sizes, strict=True) if size < FEW]:
        yield f"{pluralize(len(few), 'class')} had fewer than {FEW} test images: too few to rely on."
    if warning := describe_weakness(record):
        yield f"Warning: {warning}"


def _list_exported(record: Record) -> Iterator[str]:
    yield "The accuracies are those of Deepen's network. The exported file was not tested on the test images."
    if "top1_single_view" in record.metrics:
        single = record.metrics["top1_single_view"]
        yield f"Deepen averages over several views of an image. Without that, as in this file, top-1 is {single:.2f}."


def _list_unknown(card: ModelCard) -> Iterator[str]:
    yield f"It names one of its {len(card.classes)} classes for every image, also for one of none of them."
    yield "Whether its probabilities are calibrated is not known."
    yield "Whether its accuracy differs between groups of people, places or cameras is not known."
    yield "The licence of the weights and of the images is not known; add `license` to the front matter."
