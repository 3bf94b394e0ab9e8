"""The branches of a ladder in its charts: lines from each model to those that grew from it, and where these begin."""

from collections.abc import Mapping

from deepen.report.tables import Rows
from deepen.report.vega import Spec, color

After = Mapping[str, str]  # the model that each model grew from


def connect_models(topk: Rows, after: After) -> Rows:
    """Return both ends of a line from each model to one that grew from it, named `line`; `topk`: make_topk_table."""
    places = {(row["model"], row["k"]): row for row in topk}
    pairs = [(places.get((after[row["model"]], row["k"])), row) for row in topk]
    return [end | {"line": row["model"]} for origin, row in pairs if origin for end in (origin, row)]


def add_origins(topk: Rows, after: After) -> Rows:
    """Return the rows of make_topk_table with the model that each grew from, and its place in a chart over depth.

    A template of `dvc plots` draws each line from one row. The columns are empty where a model starts from scratch.
    """
    places = {(row["model"], row["k"]): row for row in topk}
    origins = [(row, places.get((after[row["model"]], row["k"]), {})) for row in topk]
    names = {"after": "model", "after_layers": "layers", "after_accuracy": "accuracy"}
    return [row | {name: origin.get(field) for name, field in names.items()} for row, origin in origins]


def draw_lines(line: Spec, ends: Rows | None) -> list[Spec]:
    """Return the layer of a line, between `ends` of connect_models unless they are None; no layer without ends."""
    if ends is None:
        return [line]
    encoding = line["encoding"] | {"detail": {"field": "line"}}
    return [line | {"data": {"values": ends}, "encoding": encoding}] if ends else []


def plot_starts(rows: Rows, after: After, *, top: bool) -> list[Spec]:
    """Plot a vertical line where grown models begin, named at the top or the bottom; `rows`: make_curves_table."""
    moments = _list_starts(rows, after)
    if not moments:
        return []
    x, data = {"field": "flops", "type": "quantitative"}, {"data": {"values": moments}}
    place: Spec = {"align": "right", "y": 0, "dx": -2} if top else {"align": "left", "y": {"expr": "height"}, "dx": 4}
    words = {
        "type": "text",
        "baseline": "top",
        "angle": 270,
        "dy": 4,
        "limit": 280,
        "fontSize": 11,
        "color": color("quiet"),
        **place,
    }
    return [
        data | {"mark": {"type": "rule", "strokeDash": [2, 3]}, "encoding": {"x": x}},
        data | {"mark": words, "encoding": {"x": x, "text": {"field": "words"}}},
    ]


def _list_starts(rows: Rows, after: After) -> Rows:
    """Return, for each model from which others grew, the end of its training and the names of these."""
    ends = {row["model"]: row["flops"] for row in rows}
    grown: dict[str, list[str]] = {}
    for model in ends:
        if after[model] in ends:
            grown.setdefault(after[model], []).append(model)
    return [
        {"flops": ends[origin], "words": f"{', '.join(names)} begin{'s' * (len(names) == 1)}"}
        for origin, names in grown.items()
    ]
