import io
import subprocess
import sys
import warnings

import pytest
from conftest import picture
from PIL import Image

from deepen.decoding import decode as decoding
from deepen.decoding.decode import UnreadableImage, decode, decode_noted


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


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "GIF", "PNG"])
def test_large_images_of_another_format_are_refused_too(kind):
    assert decode(picture("1", size=(12_000, 9_000), value=1, format=kind), (2, 3)).min() == 255


def test_images_of_too_many_pixels_are_refused():
    with pytest.raises(UnreadableImage, match="it has 144,000,000 pixels; the limit is 134,217,728"):
        decode(picture("1", size=(12_000, 12_000), value=1))


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RecursionError("too deep"), "its format is damaged: RecursionError too deep"),
        (SystemError(), "its format is damaged: SystemError"),
        (AssertionError(), "its format is damaged: AssertionError"),
        (AttributeError("x\ny"), r"its format is damaged: AttributeError 'x\\ny'"),
        (KeyError(5), "its format is damaged: KeyError 5"),
        (Image.DecompressionBombError("bomb"), "^it has more than 134,217,728 pixels$"),
        (MemoryError(), "^out of memory$"),
        (OSError("image file is truncated"), "^image file is truncated$"),
    ],
)
def test_whatever_a_decoder_raises_is_reported(monkeypatch, error, why):
    class Bad:
        def __init__(self, file):
            raise error

    monkeypatch.setitem(decoding._READERS, "PNG", Bad)
    with pytest.raises(UnreadableImage, match=why):
        decode(picture())


def test_a_warning_of_pillow_is_a_note_also_where_warnings_are_errors(monkeypatch):
    class Odd(decoding.PngImageFile):
        def load(self):
            exec("import warnings; warnings.warn('an odd thing')", {"__name__": "PIL.PngImagePlugin"})
            return super().load()

    monkeypatch.setitem(decoding._READERS, "PNG", Odd)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode_noted(picture()).notes == ("was read with a Pillow warning: an odd thing",)


PEAK = """
import io, resource, sys
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
from deepen.decoding.decode import decode
content = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with ThreadPoolExecutor(4) as threads:
    assert [image.shape for image in threads.map(lambda _: decode(content, (4, 4), 3), range(4))] == [(4, 4, 3)] * 4
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
@pytest.mark.slow
def test_large_images_are_decoded_one_at_a_time():
    """Four images of 2**27 pixels in four threads take what one takes: 0.13 GB as decoded and 0.54 GB as RGB."""
    content = picture("1", size=(1 << 14, 1 << 13), value=1)
    done = subprocess.run([sys.executable, "-c", PEAK], input=content, capture_output=True, check=True)
    assert int(done.stdout) < 900_000  # kilobytes


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "unknown format; supported: JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF"),
        (picture(size=(50, 50))[:60], "."),
        (picture(format="BMP")[:60], "."),
    ],
    ids=["empty", "PNG cut off", "BMP cut off"],
)
def test_bytes_that_are_not_an_image_are_an_error(content, why):
    with pytest.raises(UnreadableImage, match=why):
        decode(content)
