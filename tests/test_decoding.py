import io

import pytest
from conftest import picture
from PIL import Image

from deepen.decoding import UnreadableImage, decode


def test_transparent_becomes_white():
    assert decode(picture("RGBA", value=(0, 0, 0, 0))).min() == 255
    assert decode(picture("LA", value=(0, 0))).shape == (8, 8)
    assert decode(picture("LA", value=(0, 0))).min() == 255
    assert decode(picture("P", value=0, transparency=0)).min() == 255


def test_palette_and_cmyk_become_rgb_and_bits_grey():
    assert decode(picture("P", value=3)).shape == (8, 8, 3)
    assert decode(picture("CMYK", value=(0, 255, 255, 0), format="JPEG"))[0, 0].tolist() == pytest.approx(
        [254, 0, 0], abs=3
    )
    assert decode(picture("1", value=1)).tolist() == [[255] * 8] * 8


def test_sixteen_bits_keep_their_scale():
    assert decode(picture("I;16", value=0x8000))[0, 0] == 0x80


def test_exif_turns_the_image_upright():
    image = Image.new("RGB", (4, 8), "black")
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    assert decode(file.getvalue()).shape == (4, 8, 3)


def test_a_size_and_channels_are_those_asked_for():
    assert decode(picture(size=(20, 10)), (8, 6)).shape == (8, 6, 3)
    assert decode(picture(size=(20, 10)), (8, 6), channels=1).shape == (8, 6)
    assert decode(picture("L", size=(20, 10)), channels=3).shape == (10, 20, 3)


def test_a_photo_of_a_hundred_megapixels_is_taken_without_a_warning():
    assert decode(picture("1", size=(12_000, 9_000), value=1), (2, 3)).tolist() == [[255] * 3] * 2


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "none of JPEG, PNG, WEBP, BMP"), (picture(size=(50, 50))[:60], "."), (picture(format="BMP")[:60], ".")],
    ids=["empty", "PNG cut off", "BMP cut off"],
)
def test_what_is_no_image_is_told(content, why):
    with pytest.raises(UnreadableImage, match=why):
        decode(content)
