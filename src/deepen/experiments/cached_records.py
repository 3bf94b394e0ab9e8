"""The records of an experiment's models, from DVC's cache."""

from collections.abc import Callable
from pathlib import Path

from deepen.core.errors import InputError
from deepen.experiments.recorded import get_md5
from deepen.experiments.store import Experiment
from deepen.records.record import Record, load_records

RecordLoader = Callable[[Experiment, str], list[Record] | None]


def make_record_loader(project: Path) -> RecordLoader:
    """Return a function that loads the records of a model of an experiment, and of all models that it grew from.

    It returns None if DVC's cache has no such file, for example after `dvc gc`.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        cache = Repo(str(project)).cache.local
    except DvcException as error:
        raise InputError(f"{project}: not a DVC project ({error}); change to the folder of your project") from error

    def load(experiment: Experiment, model: str) -> list[Record] | None:
        md5 = get_md5(experiment.lock, f"records/{model}.json")
        path = Path(cache.oid_to_path(md5)) if md5 else None
        return load_records(path) if path and path.is_file() else None

    return load
