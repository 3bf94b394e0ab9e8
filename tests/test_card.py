"""`deepen card`: what a model hub reads from a model card, and what the card says is not known."""

import ast
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from small_nets import random_state

from deepen.cli import main
from deepen.evaluation.intervals import wilson_interval
from deepen.models.weights import ModelCard, load_weights, read_weights_checksum, save_weights
from deepen.records.record import load_records
from deepen.report.model_card import format_card

CARD = ModelCard(
    model="III",
    layers="conv3-8*2 maxpool conv3-16 maxpool fc-32*2",
    width=0.5,
    image=(3, 12, 9),
    classes=("cat", "dog|wolf", "*größter*"),
    mean=(0.5, 0.4, 0.3),
    flip=True,
)


def front_matter(text):
    """The YAML at the start, as YAML 1.1, which PyYAML and so the hubs read."""
    yaml = YAML(typ="safe")
    yaml.version = (1, 1)
    opened, content, body = text.split("---\n", 2)
    assert opened == ""
    assert body.startswith("\n# ")
    return yaml.load(content)


def written(project, *words):
    """The card of III, from the project's folder."""
    main(["card", str(project.path / "weights/III.safetensors"), "--output", "card.md", *words])
    return Path("card.md").read_text()


def trained(project, **changes):
    """The description of I and its records, with changes in the last record."""
    card, _ = load_weights(project.path / "weights/I.safetensors")
    *before, record = load_records(project.path / "records/I.json")
    return card, [*before, replace(record, **changes)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_front_matter_has_what_hubs_show(built, capsys):
    text = written(built)
    assert capsys.readouterr().out == "card.md: model card of III\n"
    content, record = front_matter(text), load_records(built.path / "records/III.json")[-1]
    assert content["pipeline_tag"] == "image-classification"
    assert content["library_name"] == "deepen"
    assert "license" not in content  # which nobody has stated
    ((model,), (result,)) = content["model-index"], content["model-index"][0]["results"]
    assert model["name"] == "III"
    assert result["dataset"] == {"name": "digits", "type": "digits", "split": "test"}
    low, high = wilson_interval(record.correct[0], record.test_images)
    assert result["metrics"][0] == {
        "type": "accuracy",
        "name": f"top-1 accuracy, 95 % interval {low / 100:.4f} to {high / 100:.4f}",
        "value": pytest.approx(record.metrics["top1"] / 100, abs=1e-6),
    }
    assert len(result["metrics"]) == 5


def test_the_hub_s_own_library_reads_the_card(built):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(written(built))
    assert card.data.model_name == "III"
    top1, *_ = card.data.eval_results
    assert (top1.task_type, top1.dataset_type, top1.metric_type) == ("image-classification", "digits", "accuracy")
    assert 0 < top1.metric_value <= 1


def test_the_card_has_results_classes_data_lineage_settings_and_versions(built):
    text = written(built)
    records = load_records(built.path / "records/III.json")
    for record in records:
        low, high = wilson_interval(record.correct[0], record.test_images)
        assert f"| {record.metrics['top1']:.2f} | {low:.2f} to {high:.2f} |" in text
        assert f"| `{record.weights[:12]}` |" in text
    assert read_weights_checksum(built.path / "weights/III.safetensors") in text
    record = records[-1]
    assert f"Training images: {record.training.images}, " in text
    assert f"Validation images: {record.training.validation_images}\n" in text
    assert f"Test images: {record.test_images}, {record.test_origin}" in text
    assert re.search(r"^\| 7 \| \d+ \| \d+\.\d \|$", text, re.MULTILINE)
    assert f"| training.lr | {record.training.settings['training']['lr']} |" in text
    assert f"| PyTorch | {record.training.versions['PyTorch'].replace('+', chr(92) + '+')} |" in text
    assert "One training, with seed 0." in text
    assert "licence of the weights and of the images is not known" in text
    assert "None" not in text
    assert re.search(r"^\| (\S+ \|)+$\n\n\|", text, re.MULTILINE) is None  # each table is in one piece


def test_the_tables_are_tables(built):
    """Each row of a table has as many cells as its heading."""
    for block in re.findall(r"(?:^\|.*\n)+", written(built), re.MULTILINE):
        cells = [len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()]
        assert len(set(cells)) == 1
        assert len(cells) > 2


def test_without_records_the_card_says_what_is_not_known(capsys):
    save_weights(Path("III.safetensors"), random_state(CARD.plan()), CARD.model_copy(update={"grown_from": "ab" * 32}))
    main(["card", "III.safetensors"])
    told = capsys.readouterr().out
    assert told == "III.md: model card of III without results: records/ has none of these weights\n"
    text = Path("III.md").read_text()
    content = front_matter(text)
    assert "model-index" not in content
    assert "metrics" not in content
    assert "Not known: there is no record of these weights." in text
    assert "Settings and versions: not known." in text
    assert f"Grown from weights with the SHA-256 `{'ab' * 32}`" in text
    assert "cat, dog\\|wolf, \\*größter\\*" in text


def test_records_of_other_weights_are_not_used(built):
    card, state = load_weights(built.path / "weights/III.safetensors")
    other = built.path.parent / "other/weights/III.safetensors"
    save_weights(other, {key: array + np.float32(1) for key, array in state.items()}, card)
    main(["card", str(other), "--output", "card.md"])
    assert "Not known: there is no record" in Path("card.md").read_text()


def test_weights_before_the_training_are_named_so(built, capsys):
    init = built.path / "weights/init/III.safetensors"
    for file in (init, shutil.copy(init, built.path.parent / "copy.safetensors")):
        main(["card", str(file), "--output", "card.md", "--force"])
        if file == init:
            assert capsys.readouterr().out == "card.md: model card of III before its training\n"
            text = Path("card.md").read_text()
            assert "\n# III, before its training\n" in text
            assert "**Its weights are those before its training**, and not the result." in text
            assert "None: the weights are those before the training." in text
            assert "- Its weights are those before its training: do not rely on the classes that it names." in text
            assert "model-index" not in front_matter(text)
    assert "- Whether it is trained is not known.\n" in Path("card.md").read_text()


def test_weights_that_a_transfer_of_the_project_made_are_known_by_their_content(built, monkeypatch, tmp_path, capsys):
    copy = shutil.copy(built.path / "weights/init/II.safetensors", tmp_path / "II.safetensors")
    monkeypatch.chdir(built.path)
    main(["card", str(copy), "--output", str(tmp_path / "card.md")])
    assert "model card of II before its training\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["no", "1e3", "0x10", "on"])
def test_names_stay_text_in_the_front_matter(built, name):
    card, records = trained(built, data_name=name)
    content = front_matter(format_card(card.model_copy(update={"model": name}), "ab" * 32, records, "a.safetensors"))
    assert content["model-index"][0]["name"] == name
    assert content["model-index"][0]["results"][0]["dataset"]["name"] == name


def test_an_existing_file_is_replaced_only_by_force(built):
    Path("card.md").write_text("mine")
    with pytest.raises(SystemExit, match=r"error: card\.md: already exists; add --force to replace it"):
        written(built)
    assert Path("card.md").read_text() == "mine"
    assert "# III" in written(built, "--force")


@pytest.mark.parametrize("name", ["a\nb.onnx", 'a"b.onnx', "a\\b.onnx", "\u2028.onnx", "é ü.onnx"])
def test_the_code_of_a_card_opens_a_file_of_any_name(built, name):
    card, _ = trained(built, metrics={"top1": 90.0, "loss": 0.5})
    (line,) = [each for each in format_card(card, "ab" * 32, [], name, "onnx").splitlines() if "Session(" in each]
    assert ast.literal_eval(line.partition("Session(")[2].removesuffix(")")) == name


@pytest.mark.slow
def test_an_export_has_a_card_beside_it_that_says_what_the_file_does(built, capsys):
    main(["export", str(built.path / "weights/III.safetensors"), "--to", "onnx"])
    text = Path("III.onnx.md").read_text()
    assert capsys.readouterr().out.splitlines()[-1] == "III.onnx.md: model card of III"
    assert front_matter(text)["library_name"] == "onnx"
    assert 'onnxruntime.InferenceSession("III.onnx")' in text
    assert "The exported file was not tested on the test images." in text


def test_the_accuracy_of_an_export_is_that_of_a_single_view(built):
    card, records = trained(built, metrics={"top1": 90.0, "top1_single_view": 88.5, "loss": 0.5})
    text = format_card(card, "ab" * 32, records, "III-torchvision.safetensors", "torchvision", "vgg11")
    assert "Without that, as in this file, top-1 is 88.50." in text
    assert "torchvision.models.vgg11(num_classes=10)" in text
    assert "Without that" not in format_card(card, "ab" * 32, records, "III.safetensors")


def test_an_existing_card_beside_an_export_is_found_before_the_work(built):
    Path("III.onnx.md").write_text("mine")
    with pytest.raises(SystemExit, match=r"error: III\.onnx\.md: already exists"):
        main(["export", str(built.path / "weights/III.safetensors"), "--to", "onnx"])
    assert not Path("III.onnx").exists()
