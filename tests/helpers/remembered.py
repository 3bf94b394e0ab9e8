"""Results that the commands of the fork server compute once: slow functions that depend only on their input.

DVC parses YAML in Python, `dvc.lock` several times a stage: a third of the time of `dvc repro`. A report bundles Vega's
JavaScript each time. The real commands do not use this.
"""

import hashlib
import io
import os
import pickle
from pathlib import Path


def remember_all(folder: Path) -> None:
    """Keep what DVC parses and writes as YAML, and the JavaScript of reports, in a folder of all commands."""
    _remember_yaml(folder)
    _remember_javascript(folder)


def _remember_yaml(folder):
    from dvc.utils import strictyaml
    from dvc.utils.serialize import _yaml

    parse, dump = _yaml.parse_yaml, _yaml._dump

    def parse_once(text, path, typ="safe"):
        return remember(_name(folder, typ, text), lambda: parse(text, path, typ))

    def dump_and_remember(data, stream):
        written = io.StringIO()
        dump(data, written)
        stream.write(written.getvalue())
        remember(_name(folder, "rt", written.getvalue()), lambda: data)

    strictyaml.parse_yaml = _yaml.parse_yaml = parse_once
    _yaml._dump = dump_and_remember


def _remember_javascript(folder):
    import vl_convert

    bundle = vl_convert.javascript_bundle
    vl_convert.javascript_bundle = lambda snippet: remember(_name(folder, "js", str(snippet)), lambda: bundle(snippet))


def _name(folder, kind, text):
    return folder / hashlib.sha256(f"{kind} {text}".encode()).hexdigest()


def remember(path, compute):
    """Return a copy of the result in a file, which is computed and written first if it is missing."""
    if not path.exists():
        found, temporary = compute(), path.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(pickle.dumps(found))
        temporary.replace(path)
    return pickle.loads(path.read_bytes())
