from deepen.report.confusion import Mixup, by_class, class_sizes, matrix, mixups

COUNTS = [(0, 0, 8), (0, 1, 2), (1, 0, 2), (1, 1, 2), (3, 1, 5)]  # of classes 0, 1 and 3; class 2 has no image


def test_counts_as_sizes_and_as_a_matrix():
    assert class_sizes(COUNTS, 4) == [10, 4, 0, 5]
    assert matrix(COUNTS, 4).tolist() == [[8, 2, 0, 0], [2, 2, 0, 0], [0, 0, 0, 0], [0, 5, 0, 0]]


def test_mixups_stand_by_number_then_by_share():
    assert mixups(COUNTS, 4) == [Mixup(3, 1, 5, 5), Mixup(1, 0, 2, 4), Mixup(0, 1, 2, 10)]
    assert mixups(COUNTS, 4)[2].percent == 20
    assert mixups([(0, 0, 3)], 2) == []


def test_a_class_that_is_never_recognized_has_zero_of_all_and_one_without_images_no_line():
    found = by_class(COUNTS, 4)
    assert [right for right, _ in found] == [Mixup(0, 0, 8, 10), Mixup(1, 1, 2, 4), Mixup(3, 3, 0, 5)]
    assert [worst.predicted for _, worst in found] == [1, 0, 1]
    assert by_class([(0, 0, 3)], 1) == [(Mixup(0, 0, 3, 3), None)]
