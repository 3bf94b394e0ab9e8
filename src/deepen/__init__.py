"""Deepen trains a shallow VGG-style network, grows it deeper, and measures what each step gained.

What programs may import is in `_MODULES`; module paths below this package may change. A name is imported when it is
first asked for, since PyTorch takes seconds.
"""

TYPE_CHECKING = False  # without the import of typing: commands start sooner, and Ctrl-C is handled sooner
if TYPE_CHECKING:
    from deepen.core.errors import InputError as InputError
    from deepen.data.augmentation import normalize as normalize
    from deepen.data.statistics import Statistics as Statistics
    from deepen.data.statistics import compute_statistics as compute_statistics
    from deepen.growth.transfer import RoleMapping as RoleMapping
    from deepen.growth.transfer import map_roles as map_roles
    from deepen.growth.transfer import transfer as transfer
    from deepen.inference.answer import Answer as Answer
    from deepen.inference.classifier import Classifier as Classifier
    from deepen.inference.classifier import load as load
    from deepen.inference.explanation import compute_saliency as compute_saliency
    from deepen.models.networks import load_network as load_network
    from deepen.models.weights import ModelCard as ModelCard
    from deepen.records.transfer_report import TensorTransfer as TensorTransfer
    from deepen.records.transfer_report import TransferReport as TransferReport

__version__ = "0.1.0"

_MODULES = {
    "Answer": "inference.answer",
    "Classifier": "inference.classifier",
    "InputError": "core.errors",
    "ModelCard": "models.weights",
    "RoleMapping": "growth.transfer",
    "Statistics": "data.statistics",
    "TensorTransfer": "records.transfer_report",
    "TransferReport": "records.transfer_report",
    "compute_saliency": "inference.explanation",
    "compute_statistics": "data.statistics",
    "load": "inference.classifier",
    "load_network": "models.networks",
    "map_roles": "growth.transfer",
    "normalize": "data.augmentation",
    "transfer": "growth.transfer",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'deepen' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"deepen.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
