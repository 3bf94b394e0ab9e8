"""The page of a group of seeds: self-contained HTML in the style of the report page."""

import json
from collections.abc import Sequence

from markupsafe import Markup

from deepen.core.errors import quote
from deepen.evaluation.seed_statistics import Sample, format_count
from deepen.report import seed_charts, seed_rows, vega
from deepen.report.page import Chart, load_style, load_template
from deepen.report.page_tables import Table
from deepen.seeds.table import SeedTable

_TEMPLATE = "seed_page.html.j2"


def render_seed_page(table: SeedTable) -> str:
    """Render the page as HTML; equal tables give equal text."""
    accuracies, differences = seed_rows.make_accuracy_rows(table), seed_rows.make_difference_rows(table)
    charts = [
        Chart("accuracy", seed_charts.plot_accuracies(table), _describe(accuracies, "mean top-1"), _list_values(table))
    ]
    if differences:
        spec = seed_charts.plot_differences(table)
        charts.append(Chart("difference", spec, _describe(differences, "mean points"), _list_differences(table)))
    specs = {chart.name: chart.spec for chart in charts}
    return load_template(_TEMPLATE).render(
        css=Markup(load_style()),
        vega=Markup(vega.load_javascript().replace("</script", "<\\/script")),
        specs=Markup(json.dumps(specs, separators=(",", ":")).replace("<", "\\u003c")),
        title=f"Deepen: {quote(table.group.name)} over {format_count(len(table.seeds))}",
        caption=seed_rows.format_seed_caption(table),
        accuracies=_to_table(accuracies),
        differences=_to_table(differences) if differences else None,
        sentences=seed_rows.describe_differences(table),
        notes=seed_rows.list_notes(table),
        charts=charts,
        experiments=[quote(each.name) for each in table.group.members.values()],
    )


def _to_table(rows: seed_rows.TextRows) -> Table:
    return Table(list(rows[0]), [list(row.values()) for row in rows])


def _describe(rows: seed_rows.TextRows, heading: str) -> str:
    """Return the text alternative of a chart."""
    return f"{heading}: " + "; ".join(f"{next(iter(row.values()))} {row[heading]}" for row in rows)


def _list_values(table: SeedTable) -> Table:
    return _make_seed_table([(each.model, each.top1) for each in table.models])


def _list_differences(table: SeedTable) -> Table:
    return _make_seed_table([(f"{one} - {other}", sample) for one, other, sample in table.differences()])


def _make_seed_table(samples: Sequence[tuple[str, Sample]]) -> Table:
    """Make a row per seed, and a column per model or pair of models."""
    seeds = sorted({seed for _, sample in samples for seed in sample.values})
    rows = [[str(seed), *(_format(sample.values.get(seed)) for _, sample in samples)] for seed in seeds]
    return Table(["seed", *(name for name, _ in samples)], rows)


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
