"""Several processes train as one does, and say who is missing."""

import re

import pytest
from group_workers import (
    alone_among_others,
    end_before_others_connect,
    enter_late,
    folders,
    hang_beside_gpus,
    ladder,
    ladder_with_a_stray,
    ladder_with_one_that,
    small_batches,
)
from groups import together

from deepen.core.errors import InputError
from deepen.runtime import group, roll_call


def differences(one, other):
    return [abs(a - b) / abs(b) for a, b in zip(one["losses"], other["losses"], strict=True)]


@pytest.mark.parametrize(
    ("case", "size"),
    [
        ("muon", 2),
        ("muon", 4),
        ("sgd", 2),
        ("norm", 2),
        ("frozen", 2),
        ("uneven", 4),
        ("balanced", 2),
        ("skipping", 2),
        ("views", 2),
        ("mapped", 2),
    ],
)
def test_several_processes_have_the_losses_and_counts_of_one(tmp_path, case, size):
    alone = ladder(case.replace("mapped", "muon"), tmp_path)  # which has its images in memory
    found = together(size, ladder, case, tmp_path)
    for one in found:
        assert max(differences(one, alone)) < 1e-5
        assert one["losses"] == found[0]["losses"]
        assert one["correct"] == alone["correct"]
    assert [one["writes"] for one in found] == [True] + [False] * (size - 1)
    assert not list(tmp_path.iterdir())


def test_a_process_with_the_wrong_images_changes_the_losses(tmp_path):
    found = together(2, ladder_with_a_stray, tmp_path)
    assert max(differences(found[0], ladder("muon", tmp_path))) > 1e-3


def test_no_process_goes_on_before_all_are_connected(tmp_path):
    first, late = together(2, enter_late, tmp_path)
    assert first > late


@pytest.mark.parametrize(
    ("named", "rank"), [(True, r"rank 1 \(process .*\)"), (False, r"rank 1 \(which had not joined the group\)")]
)
def test_a_rank_that_does_not_connect_is_named(tmp_path, named, rank):
    told, _ = map(str, together(2, end_before_others_connect, named, tmp_path, lost={1}))
    assert re.search(f"InputError: {rank}: ended, or did not respond within 1 s", told), told


@pytest.mark.parametrize("does", ["hangs", "dies"])
def test_a_rank_that_does_not_respond_is_named(tmp_path, does):
    found = together(3, ladder_with_one_that, does, tmp_path, lost={1})
    told = [str(found[rank]) for rank in (0, 2)]
    assert any("InputError: rank 1 (process " in text and "did not respond within 2 s" in text for text in told), told
    assert all("training resumes from its last checkpoint, if it has one" in text for text in told if "respond" in text)


def test_a_gpu_s_process_is_named_before_nccl_ends_those_that_wait_for_it(tmp_path):
    told, _ = map(str, together(2, hang_beside_gpus, tmp_path, "cuda", lost={1}))
    (found,) = re.findall(r"RuntimeError: \(\{'cpu:gloo,cuda:nccl': (.*)\}, (.*), '(rank 1 \(process .*)'\)", told)
    nccl, seconds = map(float, found[:2])
    assert nccl == 8
    assert seconds < nccl
    assert "did not respond within 4 s" in found[2]


def test_a_process_on_a_cpu_is_named_as_soon_where_the_machine_has_gpus(tmp_path):
    told, _ = map(str, together(2, hang_beside_gpus, tmp_path, "cpu", lost={1}))
    (found,) = re.findall(r"RuntimeError: \(\{'gloo': 4.0\}, (.*), '(rank 1 \(process .*)'\)", told)
    assert 3 < float(found[0]) < 7
    assert "did not respond within 4 s" in found[1]


def test_more_processes_than_images_in_a_batch_are_one_error(tmp_path):
    found = [str(one) for one in together(3, small_batches, 2, tmp_path)]
    assert sum("3 processes can't share batches of 2 images; start at most 2 processes" in text and "SystemExit" not in text for text in found) == 1  # fmt: skip
    assert sum("SystemExit" in text for text in found) == 2


def test_a_call_without_a_group_is_single_process(tmp_path):
    for one in together(2, alone_among_others):
        assert one == (0, 1, True)


def test_the_first_process_writes_and_one_in_each_folder_that_is_not_its_own(tmp_path):
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    assert together(4, folders, here, here, there, there) == [True, False, True, False]
    assert together(2, folders, here, here) == [True, False]


def test_a_folder_that_can_t_be_written_is_one_error(tmp_path):
    (tmp_path / "file").touch()
    folder = str(tmp_path / "file/folder")
    first, second = map(str, together(2, folders, folder, folder))
    assert f"InputError: {folder}: can't be written (Not a directory); move or remove what is at this path" in first
    assert "SystemExit: 1" in second


def test_a_rank_that_can_t_connect_to_rank_0_is_one_error(monkeypatch):
    def refuse(url):
        raise RuntimeError("The client socket has failed to connect\nframe #0: c10d")

    monkeypatch.setattr(roll_call, "rendezvous", refuse)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError) as error:
        group.Group()
    assert str(error.value) == (
        "rank 1: can't connect to rank 0 (The client socket has failed to connect); "
        "see its output, or check MASTER_ADDR and MASTER_PORT"
    )
