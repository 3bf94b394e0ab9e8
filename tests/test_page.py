"""The page of the report: what it says, and how headless Chromium shows it with the network off."""

import itertools
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import vl_convert
from made_up_ladders import branches, ladder
from playwright.sync_api import expect, sync_playwright

from deepen.data.images import ImageSet
from deepen.evaluation.intervals import wilson_interval
from deepen.records.ladder import LadderResults, MissingModel
from deepen.report import figures, gains, page, tables
from deepen.report.branches import add_origins

ROOT = Path(__file__).parents[1]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None)  # fmt: skip
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on the path to open the page with")
HOSTILE = ("<script>boom()</script>", "\"'><img src=x onerror=boom()>", "</script><b>x</b>", "a &amp; b", "$x$", "<b>c</b>", "%{x}", "{{ 7*7 }}", "&lt;", "x" * 200)  # fmt: skip


def names(classes):
    return tuple(f"class {i}" for i in range(classes))


def rendered_branches(depth, missing=()):
    """The page of a made-up ladder with two branches, for one of its models."""
    records, said = branches()
    rows = said.worst(24)
    mistakes = ImageSet(np.zeros((len(rows), 3, 8, 8), np.uint8), np.array(said.actual, np.int64)[rows], names(10))
    png = figures.draw_filters(np.arange(54.0).reshape(2, 3, 3, 3))
    results = LadderResults(depth, records, list(missing))
    return page.render(results, names(10), mistakes, said, page.Pictures(png, "conv1_1", png, png))


def rendered(
    models=3, classes=10, image=(3, 8, 8), named=None, most=24, origin="", notes=(), name="", files=(), **options
):
    """The page of a made-up ladder."""
    records, said = ladder(models, classes, image, **options)
    records[-1] = replace(records[-1], test_origin=origin, notes=list(notes), data_name=name)
    rows, named, said = said.worst(most), named or names(classes), replace(said, files=list(files))
    pixels = np.random.default_rng(0).integers(0, 256, (len(rows), *image), dtype=np.uint8)
    mistakes = ImageSet(pixels, np.array(said.actual, np.int64)[rows], named)
    png = figures.draw_filters(np.arange(54.0).reshape(2, 3, 3, 3))
    results = LadderResults(records[-1].model, records, [])
    return page.render(results, named, mistakes, said, page.Pictures(png, "conv1_1", png, png))


def rendered_five():
    """The page of five models with all columns that the main table may have."""
    records, said = ladder(source="cifar10", width=1.0)
    last = records[-1]
    grown = [replace(last, model=name, after="III", parameters=143_667_240) for name in ("IV", "V-with-a-long-name")]
    records = [replace(each, metrics={"top1_single_view": 90.0} | each.metrics) for each in (*records, *grown)]
    rows = said.worst(24)
    mistakes = ImageSet(np.zeros((len(rows), 3, 8, 8), np.uint8), np.array(said.actual, np.int64)[rows], names(10))
    png = figures.draw_filters(np.arange(54.0).reshape(2, 3, 3, 3))
    return page.render(
        LadderResults("III", records, []), names(10), mistakes, said, page.Pictures(png, "conv1_1", png, png)
    )


class Read(HTMLParser):
    """A page without a browser: its tags, its texts, and which of them stand open at the end."""

    VOID = ("meta", "link", "img", "br", "input")

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    def every(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html():
    return rendered()


class TestBranches:
    def test_the_page_draws_the_tree_with_the_accuracy_of_each_model(self):
        text = rendered_branches("III")
        (drawn,) = re.findall(r"<pre>(.*?)</pre>", text.partition("<script")[0], re.DOTALL)
        plain = re.sub("<[^>]*>", "", drawn).splitlines()
        assert [line.split("  ")[0] for line in plain] == ["I", "├─ II", "└─ III"]
        assert all(re.search(r"  \d+ weight layers, top-1 \d+\.\d\d %$", line) for line in plain)
        assert "but not that of other branches" in text
        assert "<pre>" not in rendered().partition("<script")[0]

    def test_the_pictures_are_those_of_the_model_that_depth_names(self):
        text = rendered_branches("II")
        assert re.findall(r'value="(\w+)" checked', text) == ["II"]
        assert "Test images that II misclassified" in text
        assert "the filters are those of I." in text
        assert text.index('scope="col">II, %') < text.index('scope="col">I, %') < text.index('scope="col">III, %')
        assert "Before training, the filters are random." in rendered_branches("I")

    def test_a_model_that_is_not_trained_has_a_row_and_a_note(self):
        text = rendered_branches("II", [MissingModel("IV", "III", "conv3-128 fc-1024", "not trained yet", place=3)])
        assert re.search(r'<th scope="row">IV</th><td>not trained yet</td>', text)
        assert '<p class="note">IV is not trained yet: run dvc repro.</p>' in text
        assert re.search(r"   └─ </span><b>IV</b>  not trained yet", text)


class TestHtml:
    def test_the_page_is_well_formed_and_has_what_readers_need(self, html):
        read = Read(html)
        assert read.open == []
        assert read.every("html") == [{"lang": "en"}]
        assert all(image["alt"].strip() for image in read.every("img"))
        levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        targets = {link["href"][1:] for link in read.every("a") if link["href"].startswith("#")}
        assert targets <= set(ids)
        assert all(div["aria-label"].strip() for div in read.every("div") if div.get("role") in ("img", "region"))

    def test_the_page_loads_nothing(self, html):
        read = Read(html)
        assert all(re.match("data:image/(png|webp);base64,", image["src"]) for image in read.every("img"))
        assert not any("src" in script for script in read.every("script"))
        assert all(link["href"] == "data:," for link in read.every("link"))
        style = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
        assert "url(" not in style
        assert "@import" not in style

    def test_the_page_is_small_and_equal_arguments_give_equal_text(self, html):
        assert html.count("window.vegaEmbed=") == 1
        assert len(html) < 1_100_000
        assert rendered() == html

    def test_the_title_names_the_data_as_people_do(self, html):
        assert "<h1>Deepen: I, II, III on mine</h1>" in html
        assert "<h1>Deepen: I, II, III on photos</h1>" in rendered(name="photos")

    def test_the_first_screen_has_top_1_first_the_majority_class_and_what_each_model_gains(self, html):
        text = " ".join(" ".join(Read(html).texts).split())
        records, _ = ladder()
        assert "loss in nats model top-1 top-2" in text
        assert f"majority class {page.tables.compute_majority_metrics(records[-1])['top1']:.2f}" in text
        assert all(f"{sentence}." in text for sentence in gains.describe_gains(records))
        assert text.index("majority class") < text.index(gains.describe_gains(records)[0]) < text.index("The ladder")

    def test_the_ladder_says_in_words_where_each_layer_came_from(self, html):
        text = " ".join(" ".join(Read(html).texts).split())
        assert "fresh random 3\u00d73, 3 to 32" in text
        assert "copied from I 3\u00d73, 3 to 32" in text
        assert "fresh identity 3\u00d73, 128 to 128" in text

    def test_the_page_has_intervals_and_published_numbers(self):
        records, _ = ladder(1)
        low, high = wilson_interval(records[0].correct[0], records[0].test_images)
        assert f"{low:.2f} to {high:.2f}" in rendered(1)
        assert "82.45" in rendered(1, source="cifar10", width=1.0)
        assert "82.45" not in rendered(1, source="cifar10", width=0.25)
        assert "82.45" not in rendered(1, source="folder", width=1.0)

    def test_the_page_has_settings_and_versions(self, html):
        texts = Read(html).texts
        assert texts.count("training.optimizer.name") == 1
        assert texts.count("muon") == 3
        assert texts.count("PyTorch") == 1

    def test_the_page_has_the_settings_that_were_used(self, html):
        texts = Read(html[html.index('<section id="settings">') :].replace("</main>", "").split("<footer>")[0]).texts
        told = [text for text in texts if text.strip()]

        def row(name):
            place = told.index(name) + 1
            return told[place : place + 3]

        assert row("peak learning rate") == ["0.01"] * 3
        assert "0.03" not in told  # the recipe's
        assert row("batch size") == ["50"] * 3
        assert row("steps") == ["8"] * 3
        assert row("validation images") == ["20"] * 3
        assert row("recipe") == ["onecycle"] * 3
        assert row("new layers start") == ["random", "identity", "identity"]
        assert row("compute of its training")[0].endswith(" GFLOP")

    def test_mistakes_have_the_names_of_their_files_as_the_predictions_do(self):
        files = [f"test/<b>cat/{i}.jpg" for i in range(200)]
        _, said = ladder()
        texts = Read(rendered(files=files)).texts
        assert {files[row] for row in said.worst(24)} == {text for text in texts if text.startswith("test/")}
        assert not any("counted from 0" in text for text in texts)

    def test_images_that_are_not_files_are_named_by_their_place_in_the_test_set(self, html):
        _, said = ladder()
        texts = Read(html).texts
        assert [text for text in texts if re.fullmatch(r"test image \d+", text)] == [
            f"test image {row}" for row in said.worst(24)
        ]
        assert any("A test image is named by its place in the test set, counted from 0." in text for text in texts)

    def test_photos_are_shown_as_photos_and_tiny_images_pixel_by_pixel(self, html):
        assert '<ol class="mistakes">' in html
        photos = rendered(image=(3, 100, 80))
        assert '<ol class="mistakes photos">' in photos
        assert photos.count("data:image/webp;base64,") == 25  # and the picture of augmentation

    def test_the_best_and_the_worst_class_stand_first(self):
        records, _ = ladder()
        table = page.page_tables.make_class_table(records, names(10))
        shares = [float(row[1]) for row in table.rows]
        assert (shares[0], shares[1]) == (max(shares), min(shares))
        assert shares[2:] == sorted(shares[2:], reverse=True)
        assert table.headings[:5] == ["class", "III, %", "I, %", "II, %", "images"]
        one = page.page_tables.make_class_table([replace(records[0], confusion=[(0, 0, 5), (0, 1, 5)])], names(10))
        assert one.rows == [["class 0", "50.0", "10", "class 1", "50.0"]]

    def test_best_and_worst_are_told_in_a_sentence(self):
        def told(confusion):
            return page.page_tables.describe_extremes(replace(ladder(1)[0][0], confusion=confusion), ["cat", "dog"])

        best = "I is best at cat, 90.0 % of 10 images, and worst at dog, 50.0 % of 10, most often predicted as cat."
        assert told([(0, 0, 9), (0, 1, 1), (1, 1, 5), (1, 0, 5)]) == best
        assert told([(0, 0, 9), (1, 1, 5)]) == "I recognizes all classes equally often, 100.0 % of the images of each."
        assert told([(0, 0, 9), (0, 1, 1)]) == "I recognizes 90.0 % of 10 images of cat."

    def test_no_mistakes_is_a_sentence(self):
        text = rendered(most=0)
        assert "III made no mistake on the test images" in text
        assert 'class="mistakes"' not in text

    def test_classes_with_few_test_images_are_named(self):
        assert "class 0 (" in rendered(classes=30)  # 200 images
        assert "too few to rely on" not in rendered(classes=2)

    def test_the_page_names_the_origin_and_faults_of_the_test_images(self):
        read = Read(rendered(origin="from test/", notes=["2 images are in train and test: <b>.png"]))
        assert any("200 images of mine, of 10 classes, from test/, width" in text for text in read.texts)
        assert "Warning: 2 images are in train and test: <b>.png" in read.texts
        assert not any("Warning" in text for text in Read(rendered()).texts)

    def test_many_classes_have_a_table_alone(self):
        text = rendered(1, classes=101)
        assert 'id="confusion-I"' not in text
        assert "Most often confused by I" in text

    def test_hostile_class_names_are_text(self):
        read = Read(rendered(named=HOSTILE))
        assert read.open == []
        assert len(read.every("script")) == len(Read(rendered()).every("script"))
        assert set(HOSTILE) <= set(read.texts)
        assert any(HOSTILE[0] in image["alt"] for image in read.every("img"))


@pytest.fixture(scope="module")
def chromium():
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def shown(chromium, tmp_path):
    """Opens HTML from disk without a network; a test fails for what the browser complained of meanwhile."""
    complaints, contexts = [], []

    def show(html, width=1400, **options):
        (tmp_path / "index.html").write_text(html, encoding="utf-8")
        contexts.append(chromium.new_context(viewport={"width": width, "height": 900}, offline=True, **options))
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
        tab.on("requestfailed", lambda request: complaints.append(request.url))
        tab.goto((tmp_path / "index.html").as_uri(), wait_until="load")
        tab.wait_for_function(DRAWN)
        return tab

    yield show
    for context in contexts:
        context.close()
    assert complaints == []


SIZES = """() => [...document.querySelectorAll(".chart > div")]
  .filter((chart) => getComputedStyle(chart).visibility === "visible").map((chart) => {
  const {width, height} = chart.querySelector("svg").getBoundingClientRect();
  return [chart.id, width, height, chart.parentElement.getBoundingClientRect().width]; })"""

DRAWN = "[...document.querySelectorAll('.chart > div')].every((chart) => chart.querySelector('svg g'))"

CONTRASTS = """() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => numbers(color).slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor, alpha = numbers(color)[3] ?? 1;
    return alpha ? color : element.parentElement ? behind(element.parentElement) : "rgb(255, 255, 255)";
  };
  const texts = [...document.querySelectorAll("body *:not(script):not(.choice[hidden] *)")]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.map((element) => {
    const style = getComputedStyle(element), color = element instanceof SVGElement ? style.fill : style.color;
    const pair = [light(color), light(behind(element))].sort((a, b) => b - a);
    return [(pair[0] + 0.05) / (pair[1] + 0.05), element.textContent.slice(0, 40)];
  });
}"""


@needs_browser
class TestInTheBrowser:
    @pytest.mark.parametrize("width", [400, 1400])
    @pytest.mark.parametrize(
        ("models", "classes", "image"), [(3, 10, (3, 8, 8)), (1, 2, (1, 8, 8)), (3, 100, (3, 8, 8)), (2, 150, (1, 9, 30))]
    )  # fmt: skip
    def test_everything_on_the_page_fits_and_is_drawn(self, shown, width, models, classes, image):
        tab = shown(rendered(models, classes, image), width)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        charts = tab.evaluate(SIZES)
        assert len(charts) == 4 + (classes <= 100)
        assert all(w > 250 and h > 300 and w <= room + 1 for _, w, h, room in charts), charts
        assert tab.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")

    @pytest.mark.parametrize("width", [1000, 1400])
    def test_the_main_table_of_five_models_fits_the_window(self, shown, width):
        table = shown(rendered_five(), width).locator("#accuracy .scroll").first
        assert "published top-1" in table.text_content()
        assert table.evaluate("(part) => part.scrollWidth - part.clientWidth") == 0

    def test_the_first_screen_ends_below_the_first_charts(self, shown):
        tab = shown(rendered())
        assert (
            tab.locator("#compute-chart svg").bounding_box()["y"]
            + tab.locator("#compute-chart svg").bounding_box()["height"]
            < 900
        )
        narrow = shown(rendered(), 400)
        box = narrow.locator("#accuracy tbody tr:first-child td").first.bounding_box()
        assert box["x"] + box["width"] < 400

    def test_long_and_hostile_names_fit_and_are_shown_as_they_are(self, shown):
        tab = shown(rendered(named=HOSTILE), 400)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 400
        ticks = tab.locator("#confusion-III .role-axis-label text").all_text_contents()
        assert {name[:8] for name in HOSTILE} == {tick[:8] for tick in ticks}
        tab.locator("#confusion-III .mark-rect.role-mark path").first.hover(force=True)
        expect(tab.locator("#vg-tooltip-element")).to_contain_text(HOSTILE[0])
        assert tab.locator("svg script, svg img, svg b").count() == 0
        assert tab.locator("#vg-tooltip-element :is(script, img, b)").count() == 0

    def test_the_keyboard_chooses_a_model(self, shown):
        tab = shown(rendered())
        assert [tab.locator(f"#confusion-{model}").is_visible() for model in ("I", "II", "III")] == [False, False, True]
        tab.locator("input[name=confusion]:checked").focus()
        tab.keyboard.press("ArrowUp")
        assert [tab.locator(f"#confusion-{model}").is_visible() for model in ("I", "II", "III")] == [False, True, False]
        assert tab.evaluate(SIZES)[4][0] == "confusion-II"

    def test_the_first_tab_skips_to_the_content(self, shown):
        tab = shown(rendered(1))
        tab.keyboard.press("Tab")
        assert tab.locator(":focus").text_content() == "Skip to the content"
        assert tab.locator(":focus").bounding_box()["x"] > 0
        tab.keyboard.press("Enter")
        assert tab.evaluate("document.activeElement.id") == "content"

    def test_parts_that_scroll_are_reached_by_keyboard_and_focus_is_visible(self, shown):
        tab = shown(rendered(), 400)
        reached = set()
        for _ in range(60):
            tab.keyboard.press("Tab")
            reached.add(tab.evaluate("document.activeElement.getAttribute('aria-label')"))
            assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            if tab.evaluate("document.activeElement.closest('footer') !== null"):
                break
        assert {
            "Where each layer came from",
            "Settings and versions of each model",
            "Most often confused by III",
        } <= reached

    def test_hovering_over_a_chart_shows_its_numbers(self, shown):
        tab = shown(rendered())
        tab.locator("#accuracy-chart .mark-symbol.role-mark").last.locator("path").last.hover(force=True)
        expect(tab.locator("#vg-tooltip-element")).to_contain_text("76.00")
        expect(tab.locator("#vg-tooltip-element")).to_contain_text("III")

    def test_the_legend_shows_a_model_alone(self, shown):
        tab = shown(rendered())
        lines = "[...document.querySelectorAll('#accuracy-chart .mark-line path')].map((line) => getComputedStyle(line).opacity)"
        assert tab.evaluate(lines) == ["1", "1", "1"]
        tab.locator("#accuracy-chart .role-legend-label text").nth(1).click()
        tab.wait_for_function(f"JSON.stringify({lines}) === JSON.stringify(['0.05', '1', '0.05'])")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_on_the_page_has_contrast(self, shown, scheme):
        tab = shown(rendered(classes=12, source="cifar10", width=1.0), color_scheme=scheme)
        found = tab.evaluate(CONTRASTS)
        assert len(found) > 200
        assert [pair for pair in found if pair[0] < 4.5] == []
        dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark")

    @pytest.mark.parametrize("width", [400, 1400])
    def test_on_paper_every_model_is_there_and_no_chart_is_cut_off(self, shown, width):
        tab = shown(rendered(), width)
        tab.emulate_media(media="print")
        tab.set_viewport_size({"width": 718, "height": 1000})  # A4 less its margins, in CSS pixels
        charts = tab.evaluate(SIZES)
        assert [name for name, *_ in charts][4:] == ["confusion-I", "confusion-II", "confusion-III"]
        assert all(250 < w <= 718 for _, w, _, _ in charts), charts
        assert tab.evaluate("document.documentElement.scrollWidth") <= 718
        assert tab.pdf(format="A4").startswith(b"%PDF")


def plots_page(models, revisions=("workspace",)):
    """The page of dvc plots, as DVC fills its templates: a chart of its own before those of models in training."""
    template, fields = ((ROOT / ".dvc" / name).read_text() for name in ("plots.html", "plots/live.json"))
    curves = [{"epoch": str(i), "loss": "2.0", "val_loss": "1.5", "val_top1": "50.0"} for i in (1, 2)]
    divs = [("own", {"data": {"values": [{"a": 1}]}, "mark": "point", "encoding": {}})]
    for model in models:
        rows = json.dumps([row | {"rev": revision} for revision in revisions for row in curves])
        filled = fields.replace('"<DVC_METRIC_DATA>"', rows).replace("<DVC_METRIC_Y_LABEL>", model)
        for name, value in (("X", "epoch"), ("Y", "val_top1"), ("TITLE", model)):
            filled = filled.replace(f"<DVC_METRIC_{name}>", value)
        filled = re.sub('"<DVC_METRIC_PLOT_[A-Z]+>"', "300", filled)
        divs.append((f"live_{model}", json.loads(filled)))
    drawn = "".join(
        f'<div id="{name}"><script>var spec = {json.dumps(spec)}; vegaEmbed("#{name}", spec);</script></div>'
        for name, spec in divs
    )
    vega = f"<script>{page.vega.load_javascript()}</script>"
    return (
        template.replace('<script src="vega.js"></script>', vega)
        .replace("{refresh_tag}", "")
        .replace("{plot_divs}", drawn)
    )


@needs_browser
@pytest.mark.parametrize(("models", "revisions", "lines"), [
    (("I", "II", "A-1"), ("workspace",), ["I", "II", "A-1"]),
    (("I", "II"), ("one", "two"), ["I, one", "I, two", "II, one", "II, two"]),
    (("I",), ("workspace",), ["I"]),
    ((), (), []),
])  # fmt: skip
def test_the_page_of_dvc_plots_merges_the_curves_of_all_models(chromium, tmp_path, models, revisions, lines):
    (tmp_path / "index.html").write_text(plots_page(models, revisions), encoding="utf-8")
    tab = chromium.new_page()
    tab.goto((tmp_path / "index.html").as_uri())
    tab.wait_for_function("document.querySelector('#own svg, #own canvas')")
    tab.wait_for_function(
        "[...document.querySelectorAll('body > div')].every((div) => div.querySelector('canvas, svg'))"
    )
    assert tab.locator("body > div").count() == 1 + bool(models)
    legend = tab.locator("[id^=live_] .role-legend-label text").all_text_contents()
    assert legend == [*lines, *(["training", "validation"] if models else [])]
    tab.close()


def test_the_chart_over_depth_of_dvc_plots_has_a_line_for_each_branch():
    records, _ = branches()
    topk = tables.make_topk_table(records)
    rows = [row | {"rev": "workspace"} for row in add_origins(topk, {each.model: each.after for each in records})]
    texts = [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows
    ]  # as DVC has them
    filled = (ROOT / ".dvc/plots/depth.json").read_text().replace('"<DVC_METRIC_DATA>"', json.dumps(texts))
    for name, value in (("X", "layers"), ("Y", "accuracy")):
        filled = filled.replace(f"<DVC_METRIC_{name}>", value)
    drawn = vl_convert.vegalite_to_svg(re.sub('"<DVC_METRIC_PLOT_[A-Z]+>"', "300", filled))
    lines = re.findall(r'aria-roledescription="rule mark"', drawn)
    assert len(lines) == 2 * len(records[0].correct)
    assert re.findall(r">(I|II|III)</text>", drawn) == ["I", "II", "III"]


@needs_browser
def test_the_page_of_a_real_ladder_fits_a_narrow_screen(built, shown):
    tab = shown(built.read("reports/index.html"), 400)
    assert tab.locator("h1").text_content() == "Deepen: I, II, III on digits"
    assert len(tab.evaluate(SIZES)) == 5
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
