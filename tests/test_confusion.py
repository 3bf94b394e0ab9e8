from deepen.report.confusion import ConfusionCell, count_class_images, list_confusions, summarize_classes

COUNTS = [(0, 0, 8), (0, 1, 2), (1, 0, 2), (1, 1, 2), (3, 1, 5)]  # of classes 0, 1 and 3; class 2 has no image


def test_the_images_of_each_class_are_counted():
    assert count_class_images(COUNTS, 4) == [10, 4, 0, 5]


def test_confusions_are_sorted_by_number_then_by_share():
    assert list_confusions(COUNTS, 4) == [
        ConfusionCell(3, 1, 5, 5),
        ConfusionCell(1, 0, 2, 4),
        ConfusionCell(0, 1, 2, 10),
    ]
    assert list_confusions(COUNTS, 4)[2].percent == 20
    assert list_confusions([(0, 0, 3)], 2) == []


def test_a_class_that_is_never_recognized_has_zero_of_all_and_one_without_images_no_line():
    found = summarize_classes(COUNTS, 4)
    assert [right for right, _ in found] == [
        ConfusionCell(0, 0, 8, 10),
        ConfusionCell(1, 1, 2, 4),
        ConfusionCell(3, 3, 0, 5),
    ]
    assert [worst.predicted for _, worst in found] == [1, 0, 1]
    assert summarize_classes([(0, 0, 3)], 1) == [(ConfusionCell(0, 0, 3, 3), None)]
