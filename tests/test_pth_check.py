"""Files of torch.save's that would allocate gigabytes or take minutes are refused by what they say, before."""

import copy
import io
import pickle
import random
import re
import struct
import time
import zipfile

import pytest
import torch

from deepen.convert.pickle_scan import MOST_HASHED, MOST_NESTED, MOST_PICKLE
from deepen.convert.pth_check import check_pth
from deepen.convert.state_dicts import read_state
from deepen.core.errors import InputError

STATE = {"a.weight": torch.zeros(3, 2), "a.bias": torch.zeros(3)}


def saved(content, **options):
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def archive(instructions, storage=b"1234", compression=zipfile.ZIP_STORED):
    """What torch.save writes, with these pickle instructions between the protocol and the end."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as parts:
        parts.writestr("x/data.pkl", b"\x80\x02" + instructions + b".")
        parts.writestr("x/byteorder", "little")
        parts.writestr("x/data/0", storage)
        parts.writestr("x/version", "3\n")
    return file.getvalue()


def text(content):
    return b"X" + struct.pack("<I", len(content)) + content


def tuple_of(items):
    """A tuple that counts as so many items: itself and numbers."""
    return b"(" + b"K\x01" * (items - 1) + b"t"


def mapping(*keys):
    return b"}" + b"".join(key + b"Ns" for key in keys)


def storage(count, kind=b"FloatStorage"):
    return b"(" + text(b"storage") + b"ctorch\n" + kind + b"\n" + text(b"0") + text(b"cpu") + b"J" + struct.pack("<i", count) + b"tQ"  # fmt: skip


def doubled(levels):
    """A tuple of a tuple twice, and so on: some bytes, and 2 to the power of `levels` items to hash."""
    return b")" + b"".join(b"q%c0h%ch%c\x86" % (i, i, i) for i in range(levels))


def overlapping():
    """Twenty entries of the archive's directory that are the same bytes of it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as parts:
        parts.writestr("x/data.pkl", b"\x80\x02}.")
        parts.writestr("x/data/0", bytes(10_000))
        for i in range(1, 20):
            parts.filelist.append(copy.copy(parts.filelist[1]))
            parts.filelist[-1].filename = f"x/data/{i}"
    return file.getvalue()


def refused(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    start = time.monotonic()
    with pytest.raises(InputError) as error:
        read_state(tmp_path / "x.pth")
    assert time.monotonic() - start < 10
    assert len(error.value.faults) == 1
    assert str(error.value).isprintable()
    return str(error.value).removeprefix(f"{tmp_path}/x.pth: ")


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "old"])
@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {key: torch.nn.Parameter(tensor) for key, tensor in STATE.items()},
        {"state_dict": STATE, "hyper_parameters": {"betas": (0.9, 0.99), "names": tuple(map(str, range(500)))}},
        {"model": STATE, "optimizer": torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))]).state_dict(), "at": 1j},
        {key: tensor.to(torch.bfloat16) for key, tensor in STATE.items()},
    ],
    ids=["tensors", "parameters", "lightning", "a checkpoint", "bfloat16"],
)
def test_pickles_that_scripts_save_are_read(tmp_path, content, options):
    torch.save(content, tmp_path / "x.pth", **options)
    found = read_state(tmp_path / "x.pth").tensors
    assert {key: tensor.shape for key, tensor in found.items()} == {key: tensor.shape for key, tensor in STATE.items()}


class TestBounds:
    """Each at its bound, which is taken, and one above, which is not."""

    def check(self, tmp_path, content):
        (tmp_path / "x.pth").write_bytes(content)
        check_pth(tmp_path / "x.pth")

    def test_bytes_of_instructions_are_bounded(self, tmp_path):
        filling = b"x" * (MOST_PICKLE - len(b"\x80\x02" + mapping(text(b"")) + b"."))
        self.check(tmp_path, archive(mapping(text(filling))))
        told = refused(tmp_path, archive(mapping(text(filling + b"x"))))
        assert told.startswith("data.pkl is missing or exceeds 4,194,304 bytes; save the state dict alone")

    def test_items_of_a_tuple_are_bounded(self, tmp_path):
        self.check(tmp_path, archive(tuple_of(MOST_NESTED)))
        assert refused(tmp_path, archive(tuple_of(MOST_NESTED + 1))).startswith(
            "has a tuple of more than 10,000 nested items"
        )

    def test_items_of_all_keys_are_bounded(self, tmp_path):
        most = b"}" + tuple_of(MOST_NESTED) + b"q\0Ns" + b"h\0Ns" * (MOST_HASHED // MOST_NESTED - 1)
        self.check(tmp_path, archive(most))
        assert refused(tmp_path, archive(most + b"K\x01Ns")).startswith(
            "has more than 10,000,000 items in mapping keys and sets"
        )

    def test_bytes_of_a_storage_are_bounded(self, tmp_path):
        self.check(tmp_path, archive(storage(2), bytes(8)))
        told = refused(tmp_path, archive(storage(2), bytes(7)))
        assert told.startswith("declares a storage of 8 bytes but contains 7; save the state dict alone: torch.save(")

    def test_bytes_of_all_tensors_are_bounded(self, tmp_path):
        content = saved({"weight": torch.zeros(1).expand(1000)})
        (tmp_path / "x.pth").write_bytes(saved({"weight": torch.zeros(1).expand(len(content) // 4)}))
        assert read_state(tmp_path / "x.pth").tensors["weight"].shape == (len(content) // 4,)
        told = refused(tmp_path, saved({"weight": torch.zeros(1).expand(len(content) // 4 + 1)}))
        assert re.match(
            r"its tensors have [0-9,]+ bytes, more than the file's [0-9,]+, as some are repeated views; save", told
        )


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (archive(mapping(doubled(60))), "has a tuple of more than 10,000 nested items"),
        (archive(b"}" + doubled(12) + b"q\xffN" + b"s" + b"h\xffNs" * 100_000), "has more than 10,000,000 items in mapping keys and sets"),
        (archive(tuple_of(9000) + b"q\x00" + b"c__builtin__\nset\nh\0R" * 2000), "has more than 10,000,000 items in mapping keys and sets"),
        (archive(b"]q\xc8" + doubled(12) + b"ah\xc8h\xc8\x86"), "has a tuple of more than 10,000 nested items"),
        (archive(mapping(text(b"a")), b"\0" * 10**7, zipfile.ZIP_DEFLATED), "x/data.pkl is compressed, which torch.save never does"),
        (overlapping(), "its parts overlap: "),
        (archive(b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R"), "contains pickled code besides tensors (__builtin__.bytearray)"),
        (archive(b"ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R"), "contains pickled code besides tensors (torch.Tensor)"),
        (archive(storage(2**31 - 1)), "declares a storage of 8,589,934,588 bytes but contains 4"),
        (archive(b"}" + text(b"a") + b"K\x01Q"), "is damaged, truncated or not written by torch.save (a persistent id of an unknown type)"),
        (archive(b"K\x01K\x02a"), "torch.load(weights_only=True) can't load it; save the state dict alone"),
        (archive(b"h\x07"), "is damaged, truncated or not written by torch.save (an invalid pickle)"),
        (archive(b"t"), "is damaged, truncated or not written by torch.save (an invalid pickle)"),
        (saved(STATE)[:-30], "is damaged, truncated or not written by torch.save (File is not a zip file)"),
        (saved(STATE, _use_new_zipfile_serialization=False)[:-900], "is damaged, truncated or not written by torch.save (pickle exhausted"),
        (saved(STATE, _use_new_zipfile_serialization=False).replace(b"K\x06", b"J\xff\xff\xff\x7f"), "declares a storage of 8,589,934,600 bytes but contains"),
        (pickle.dumps(["x" * 5_000_000]), "has more than 4,194,304 bytes of pickle instructions"),
        (saved({"m": STATE, "ema": {**STATE}}), "contains 2 state dicts: m, ema; choose one, for example --key m"),
        (saved({"m": {"n": {"o": {"p": STATE}}}}), "contains m, but no state dict (a mapping of tensors only)"),
    ],
    ids=range(19),
)  # fmt: skip
def test_pickles_that_no_script_saves_are_refused(tmp_path, content, error):
    assert refused(tmp_path, content).startswith(error)


def test_one_of_several_state_dicts_is_named(tmp_path):
    ema = {"n_averaged": torch.tensor(3), **{f"module.{key}": tensor + 1 for key, tensor in STATE.items()}}
    torch.save(
        {"m": STATE, "m_too": STATE, "ema": ema, "nested": {"model": {"x.weight": torch.zeros(1)}}}, tmp_path / "x"
    )
    found = read_state(tmp_path / "x", "ema")
    assert found.tensors["module.a.bias"].tolist() == [1, 1, 1]
    assert found.notes == ["its state dict is under ema", "n_averaged, the number of averaged models, was ignored"]
    assert read_state(tmp_path / "x", "nested.model").tensors.keys() == {"x.weight"}
    with pytest.raises(InputError, match=r"x: --key y: no such state dict; use m, ema, nested\.model"):
        read_state(tmp_path / "x", "y")


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "old"])
def test_whatever_is_changed_in_a_file_it_is_taken_or_refused(tmp_path, options):
    content = saved({"epoch": 3, "model": STATE, "names": {(1, "x"): [True, None, 0.5]}}, **options)
    draws = random.Random(0)
    taken = 0
    for _ in range(500):
        changed = bytearray(content)
        for _ in range(draws.choice([1, 1, 1, 2, 8])):
            changed[draws.randrange(len(changed))] = draws.randrange(256)
        (tmp_path / "x.pth").write_bytes(changed[: draws.choice([len(changed)] * 4 + [draws.randrange(len(changed))])])
        try:
            read_state(tmp_path / "x.pth")
            taken += 1
        except InputError as error:
            assert all(fault.isprintable() for fault in error.faults)
    assert 0 < taken < 500
