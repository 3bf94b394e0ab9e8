"""Stage `collect`: the results of every model in params.yaml, of which the report needs no other stage to run.

DVC runs it each time, since its dependencies have only the model that `depth` names and its ancestors.
"""

from pathlib import Path

from deepen.config.settings import check_settings
from deepen.core.errors import trim
from deepen.core.yaml_reading import read_yaml
from deepen.experiments.collecting import collect_results
from pipeline.shared import files
from pipeline.shared.stage import require_unchanged, run


def collect() -> None:
    content = read_yaml(files.PARAMS)
    check_settings(content)
    assert isinstance(content, dict)  # check_settings checks it
    results = collect_results(Path(), content)
    results.require_last(files.records(results.depth))
    require_unchanged()
    results.save(files.RESULTS)
    print(f"results of {', '.join(trim(list(results.after)))}")
    if absent := [f"{each.model} is {each.state}" for each in results.missing]:
        print("; ".join(trim(absent)))


if __name__ == "__main__":
    run(collect)
