"""Read what W&B wrote offline: a .wandb file is a log of protobuf records in LevelDB's format."""

import json
import time
from pathlib import Path

_HEADER, _BLOCK = 7, 32768
_FULL, _LAST = 1, 4  # kinds of a fragment that ends a record


def read_records(path: Path):
    """Yield the records of a .wandb file; the last one may be cut off, as after a kill."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, parts = path.read_bytes(), _HEADER, b""
    while at + _HEADER <= len(content):
        if _BLOCK - at % _BLOCK < _HEADER:  # the rest of a block is padding
            at += _BLOCK - at % _BLOCK
            continue
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts += content[at + _HEADER : at + _HEADER + size]
        at += _HEADER + size
        if kind in (_FULL, _LAST) and at <= len(content):
            yield Record.FromString(parts)
            parts = b""


def wait_for_the_end(path: Path, seconds: float = 5):
    """Wait until a .wandb file has the record of its end: W&B's own process writes it after `finish` has returned."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and all(record.WhichOneof("record_type") != "exit" for record in read_records(path)):
        time.sleep(0.05)


def read_items(items):
    """The values of a history, a summary or a configuration by name."""
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}
