"""Results that the commands of the fork server compute once: slow functions that depend only on their input.

DVC parses and writes YAML in Python, all of `dvc.lock` several times a stage: most of the time of `dvc repro`. After each
stage of an experiment it builds the whole pipeline again, to see which dependencies are outputs. A report bundles Vega's
JavaScript and draws its charts in an engine that starts each time. The real commands do not use this.
"""

import hashlib
import io
import os
import pickle
from pathlib import Path


def remember_all(folder: Path) -> None:
    """Keep what DVC parses and writes as YAML, and JavaScript and pictures of reports, in a folder of all commands."""
    _remember_yaml(folder)
    _remember_outputs()
    _remember_charts(folder)


def _remember_yaml(folder):
    from dvc.utils import strictyaml
    from dvc.utils.serialize import _yaml

    parse, dump = _yaml.parse_yaml, _yaml._dump

    def parse_once(text, path, typ="safe"):
        return remember(_name(folder, typ, text), lambda: parse(text, path, typ))

    def write(data):
        written = io.StringIO()
        dump(data, written)
        return written.getvalue()

    def dump_and_remember(data, stream):
        plain = as_plain(data)
        text = write_lock(folder, plain, write) if is_lock(plain) else write(data)
        stream.write(text)
        remember(_name(folder, "rt", text), lambda: data)
        remember(_name(folder, "safe", text), lambda: plain)

    strictyaml.parse_yaml = _yaml.parse_yaml = parse_once
    _yaml._dump = dump_and_remember


def is_lock(data):
    """Return whether data are those of a dvc.lock."""
    return isinstance(data, dict) and list(data) == ["schema", "stages"] and bool(data["stages"])


def write_lock(folder, lock, write):
    """Return the text of a dvc.lock; each stage is written once, as at most one of them has changed."""

    def write_stage(name, stage):
        path = _name(folder, "stage", repr((name, stage)))
        return remember(path, lambda: write({"stages": {name: stage}}).removeprefix("stages:\n"))

    stages = (write_stage(name, stage) for name, stage in lock["stages"].items())
    return write({"schema": lock["schema"]}) + "stages:\n" + "".join(stages)


def as_plain(node):
    """Return what the safe parser would give for data of the one that keeps comments."""
    if isinstance(node, dict):
        return {as_plain(key): as_plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [as_plain(value) for value in node]
    return next((kind(node) for kind in (bool, int, float, str) if isinstance(node, kind)), node)


def _remember_outputs():
    """Have each command list the outputs of a pipeline once: no stage changes which they are."""
    from dvc.fs import DVCFileSystem

    outputs = {}

    def is_output(filesystem, path):
        repo = filesystem.repo
        if repo.root_dir not in outputs:
            outputs[repo.root_dir] = {Path(out.fs_path) for out in repo.index.outs}
        path = Path(repo.root_dir, path)
        return not outputs[repo.root_dir].isdisjoint([path, *path.parents])

    DVCFileSystem.isdvc = is_output


def _remember_charts(folder):
    import vl_convert

    bundle, draw = vl_convert.javascript_bundle, vl_convert.vegalite_to_png

    def draw_once(chart, **options):
        return remember(_name(folder, "png", repr((chart, sorted(options.items())))), lambda: draw(chart, **options))

    vl_convert.javascript_bundle = lambda snippet: remember(_name(folder, "js", str(snippet)), lambda: bundle(snippet))
    vl_convert.vegalite_to_png = draw_once


def _name(folder, kind, text):
    return folder / hashlib.sha256(f"{kind} {text}".encode()).hexdigest()


def remember(path, compute):
    """Return a copy of the result in a file, which is computed and written first if it is missing."""
    if not path.exists():
        found, temporary = compute(), path.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(pickle.dumps(found))
        temporary.replace(path)
    return pickle.loads(path.read_bytes())
