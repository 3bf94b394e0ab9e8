"""YAML, read and written as DVC does."""

import io

from ruamel.yaml import YAML


def load(text):
    return YAML(typ="safe").load(text)


def dump(content):
    yaml, file = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = False
    yaml.width = 1_000_000
    yaml.dump(content, file)
    return file.getvalue()
