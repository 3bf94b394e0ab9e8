import pytest

from deepen.models.notation import count_weight_layers, find_notation_faults, parse_notation


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", 'layers: "" is empty; write for example "conv3-128 maxpool fc-1024"'),
        ("maxpool fc-8", 'layers: "maxpool fc-8" has no convolution; write for example "conv3-128 maxpool fc-1024"'),
        ("conv3-", 'layers[0]: "conv3-" has no channel count; write for example conv3-256'),
        ("conv3", "has no channel count"),
        ("maxpool conv-256", 'layers[1]: "conv-256" has no kernel size and channel count; write for example conv3-256'),
        ("conv101-256", "must have a kernel of 1 to 99; write for example conv3-256"),
        ("conv0-256", "must have a kernel of 1 to 99; write for example conv3-256"),
        ("conv3-0", "counts must be between 1 and 65536"),
        ("conv3-65537", "counts must be between 1 and 65536"),
        ("conv3-8*0", "counts must be between 1 and 65536"),
        ("conv3-8*1001", "repeats more than 1000 times"),
        (f"conv3-{'9' * 5000}", "is an unknown layer"),
        ("fc-", "has no number of units; write for example fc-1024"),
        ("maxpool1", "must take 2 to 99 pixels a side; write for example maxpool or maxpool3"),
        ("maxpool0", "must take 2 to 99 pixels a side"),
        ("maxpool100", "must take 2 to 99 pixels a side"),
        ("maxpool3*2", "is an unknown layer"),
        (
            "whiten2",
            "must have a kernel of 2 or 3, an even number of filters and no repeats; write for example whiten2-24",
        ),
        ("whiten4-24 conv3-8", "must have a kernel of 2 or 3, an even number of filters and no repeats"),
        ("whiten2-23 conv3-8", "must have a kernel of 2 or 3, an even number of filters and no repeats"),
        ("whiten2-0 conv3-8", "must have a kernel of 2 or 3, an even number of filters and no repeats"),
        ("whiten2-24*2 conv3-8", "must have a kernel of 2 or 3, an even number of filters and no repeats"),
        (
            "conv3-8 whiten2-24",
            'layers[1]: "whiten2-24" comes after another layer, but it whitens pixels of images; move it to the front',
        ),
        ("whiten2-24", 'layers: "whiten2-24" has no convolution; write for example "conv3-128 maxpool fc-1024"'),
        ("conv3-8 relu", 'layers[1]: "relu" is an unknown layer; use conv<kernel>-<channels>'),
        ("conv3-٣", "is an unknown layer"),
        ("fc-8 conv3-8", 'layers[1]: "conv3-8" comes after a fully-connected layer'),
        ("conv3-8 fc-8 maxpool", 'layers[2]: "maxpool" comes after a fully-connected layer'),
    ],
)
def test_each_fault_in_the_notation_is_told(text, fault):
    assert any(fault in line for line in find_notation_faults(text)), find_notation_faults(text)


def test_all_faults_in_the_notation_are_told_at_once():
    assert len(find_notation_faults("conv3- conv0-8 fc-")) == 3


def test_repeats_are_written_out():
    assert list(parse_notation("conv3-8*2 maxpool fc-9")) == [
        ("conv", 3, 8),
        ("conv", 3, 8),
        ("maxpool", 2, 0),
        ("fc", 1, 9),
    ]
    assert count_weight_layers("conv3-8*2 maxpool fc-9") == 4  # with the head


def test_whitening_even_kernels_and_pools_of_any_size_are_parsed():
    assert list(parse_notation("whiten3-24 conv2-8*2 maxpool3 maxpool2")) == [
        ("whiten", 3, 24),
        ("conv", 2, 8),
        ("conv", 2, 8),
        ("maxpool", 3, 0),
        ("maxpool", 2, 0),
    ]
    assert count_weight_layers("whiten3-24 conv2-8*2 maxpool3 maxpool2") == 4


def test_a_thousand_layers_are_the_most():
    assert find_notation_faults("conv3-1*500 maxpool conv3-1*499") == []
    assert find_notation_faults("conv3-1*500 maxpool conv3-1*500") != []
