"""Image files taken apart: nothing beside the pixels makes an image unreadable, and all that turns it is found."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from bad_input import chunk, many_scans, png, tiff_with
from conftest import picture
from PIL import Image, ImageOps

from deepen.decoding.decode import UnreadableImage, decode
from deepen.decoding.headers import parse_image_file
from deepen.decoding.headers.directory import SIZES
from deepen.decoding.headers.orientation import find_orientation

FORMATS = {"JPEG": {}, "PNG": {}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}, "TIFF": {}}


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (6, 10, 3), dtype=np.uint8)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(*entries, order="<", header=b"Exif\0\0"):
    """EXIF with entries of (tag, type, count, value or offset)."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    packed = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    return header + start + struct.pack(order + "IH", 8, len(entries)) + packed + bytes(4)


def turned(orientation, order="<"):
    return 0x0112, 3, 1, struct.pack(order + "HH", orientation, 0)


def jpeg(*segments, content=None):
    """A JPEG of 10 x 6 pixels with more segments: (marker, data)."""
    content = content or picture(size=(10, 6), format="JPEG")
    more = b"".join(struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data for marker, data in segments)
    return content[:2] + more + content[2:]


XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/>\xa8\xb0</x:xmpmeta>'


class TestOrientation:
    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation_of_each_format_is_as_pillow_turns_it(self, pixels, kind, orientation):
        tag = Image.Exif()
        tag[0x0112] = orientation
        content = saved(Image.fromarray(pixels), kind, exif=tag, **FORMATS[kind])
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
        np.testing.assert_array_equal(decode(content), expected)
        assert (decode(content).shape[0] == 10) == (orientation > 4)

    @pytest.mark.parametrize(
        "content",
        [
            exif(turned(6)),
            exif(turned(6, ">"), order=">"),
            exif(turned(6), header=b""),
            exif(turned(6), header=b"Exif\0\0Exif\0\0"),
            exif((0x0112, 4, 1, struct.pack("<I", 6))),
            exif((0x0112, 1, 1, b"\6\0\0\0")),
            exif((0x0112, 3, 2, struct.pack("<HH", 6, 1))),
            exif((0x010F, 2, 2**32 - 1, b"\xff" * 4), turned(6)),
            b"II+\0" + struct.pack("<HHQQHHQQ", 8, 0, 16, 1, 0x0112, 3, 1, 6) + bytes(8),
        ],
        ids=["II", "MM", "no header", "two headers", "LONG", "BYTE", "two values", "after an odd tag", "BigTIFF"],
    )
    def test_orientation_is_read_in_each_byte_order_and_type(self, content):
        assert find_orientation(content) == 6

    @pytest.mark.parametrize(
        "content",
        [b"", b"Exif\0\0", exif(), exif(turned(0)), exif(turned(9)), exif((0x0112, 5, 1, bytes(4))), exif(turned(6))[:20],
         b"II*\0" + b"\xff" * 60, exif((0x0112, 3, 2**31, b"\xff" * 4))],
    )  # fmt: skip
    def test_an_invalid_orientation_is_upright(self, content):
        assert find_orientation(content) == 1

    def test_orientation_of_xmp_counts_where_exif_has_none(self):
        assert find_orientation(exif(), XMP) == 6
        assert find_orientation(exif(turned(1)), XMP) == 1
        assert decode(jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP))).shape == (10, 6, 3)
        text = b"XML:com.adobe.xmp\0\0\0\0\0" + XMP
        packed = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)
        for data in (text, packed):
            assert decode(png(10, 6, more=chunk(b"iTXt", data))).shape == (10, 6, 3)

    def test_orientation_of_imagemagick_is_in_a_text_chunk(self):
        data = exif(turned(6))
        text = b"\nexif\n%8d\n%s\n" % (len(data), data.hex().encode())
        for kind, value in ((b"zTXt", b"\0" + zlib.compress(text)), (b"tEXt", text)):
            assert decode(png(10, 6, more=chunk(kind, b"Raw profile type exif\0" + value))).shape == (10, 6, 3)


class TestWhatIsBesideThePixels:
    def test_odd_exif_tags_are_passed_over(self):
        """Every type with several counts and values, before and after the orientation and where EXIF and GPS are."""
        chance = random.Random(0)
        for tag in (0x010E, 0x0111, 0x011A, 0x0201, 0x02BC, 0x8769, 0x8825, 0x927C, 0xA005, 0xC4A5):
            for kind in (*SIZES, 0, 99):
                for count in (0, 1, 9, 2**32 - 1):
                    entries = sorted([turned(6), (tag, kind, count, chance.randbytes(4))])
                    for data in (exif(*entries), exif(*entries) + chance.randbytes(300)):
                        assert decode(jpeg((0xE1, data))).shape == (10, 6, 3)

    @pytest.mark.parametrize("kind", ["PNG", "WEBP"])
    @pytest.mark.parametrize(
        "data", [b"Exif\0\0", b"Exif\0\0II*\0" + b"\xff" * 40, exif(turned(1), (0x8769, 4, 1, b"\xff" * 4)), b"noise"]
    )
    def test_damaged_exif_of_png_and_webp_is_skipped(self, kind, data, pixels):
        content = saved(Image.fromarray(pixels), kind, exif=data, **FORMATS[kind])
        assert decode(content).shape == (6, 10, 3)

    @pytest.mark.parametrize("damage", [b"noise noise noise", b"\xff" * 30])
    def test_damaged_exif_of_an_avif_is_skipped_and_its_boxes_turn_it(self, damage, pixels):
        tags = Image.Exif()
        tags[0x0112], tags[0x010E] = 6, "a remark of some length"
        content = saved(Image.fromarray(pixels), "AVIF", exif=tags, quality=100)
        at = content.index(b"MM\0*") if b"MM\0*" in content else content.index(b"II*\0")
        damaged = content[:at] + damage + content[at + len(damage) :]
        np.testing.assert_array_equal(decode(damaged), decode(content))
        assert decode(damaged).shape == (10, 6, 3)

    def test_odd_tags_of_a_tiff_are_passed_over(self, pixels):
        more = {0x011A: 1.5, 0x010E: "text", 0x8773: b"profile", 700: b"xmp", 0x8769: 12}
        for compression in ("raw", "tiff_lzw"):
            content = saved(Image.fromarray(pixels), "TIFF", tiffinfo=more, compression=compression)
            np.testing.assert_array_equal(decode(content), pixels)
            np.testing.assert_array_equal(decode(tiff_with(content, 0x010E, 2**31, count=2**31)), pixels)

    @pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"tEXt", b"iTXt", b"gAMA", b"cHRM", b"pHYs", b"sRGB", b"acTL", b"fcTL", b"eXIf", b"sBIT"])  # fmt: skip
    @pytest.mark.parametrize("data", [b"", b"\0", b"a\0\5xx", bytes(range(30))])
    def test_damaged_chunks_of_a_png_are_passed_over(self, kind, data):
        assert decode(png(more=chunk(kind, data))).shape == (8, 8, 3)
        assert decode(png(more=chunk(kind, data)[:-1] + b"x")).shape == (8, 8, 3)

    @pytest.mark.parametrize("marker", [0xE1, 0xE2, 0xE3, 0xED, 0xFE])
    @pytest.mark.parametrize(
        "data", [b"", b"MPF\0II*\0" + b"\xff" * 20, b"ICC_PROFILE\0", b"Photoshop 3.0\x008BIM\xff"]
    )
    def test_damaged_segments_of_a_jpeg_are_passed_over(self, marker, data):
        assert decode(jpeg((marker, data))).shape == (6, 10, 3)

    def test_metadata_on_how_pixels_are_stored_is_kept(self, pixels):
        image = Image.fromarray(pixels).convert("CMYK")
        content = saved(image, "JPEG", quality=95)  # with an Adobe segment
        expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        np.testing.assert_array_equal(decode(content), expected)


class TestFrames:
    @pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "AVIF", "MPO", "TIFF"])
    def test_the_first_frame_of_several_is_the_image(self, kind):
        first, *more = [Image.new("RGB", (8, 8), (60 * i, 0, 0)) for i in range(1, 4)]
        content = saved(first, kind, save_all=True, append_images=more, **FORMATS.get(kind, {}))
        assert decode(content)[0, 0].tolist() == pytest.approx([60, 0, 0], abs=2)

    def test_an_index_of_frames_that_is_damaged_does_not_matter(self):
        first, *more = [Image.new("RGB", (8, 8), (60 * i, 0, 0)) for i in range(1, 4)]
        content = saved(first, "MPO", save_all=True, append_images=more)
        at = content.index(b"MPF\0") + 8
        assert decode(content[:at] + b"\xff" * 60 + content[at + 60 :]).shape == (8, 8, 3)


class TestScans:
    def test_scans_of_a_jpeg_are_counted(self):
        assert parse_image_file(picture(format="JPEG"))[1].scans == 1
        progressive = picture(format="JPEG", progressive=True)
        assert parse_image_file(progressive)[1].scans == progressive.count(b"\xff\xda") > 5
        assert parse_image_file(many_scans(30))[1].scans == progressive.count(b"\xff\xda") + 30

    def test_scans_after_the_image_s_end_or_in_other_segments_do_not_count(self):
        film = picture(format="JPEG") + b"\xff\xda\0\4" * 1000  # as phones append one
        assert parse_image_file(film)[1].scans == 1
        assert decode(film).shape == (8, 8, 3)
        comment = jpeg((0xFE, b"\xff\xda" * 1000))
        assert parse_image_file(comment)[1].scans == 1

    @pytest.mark.parametrize(("count", "side"), [(600, 8), (100, 6000)])
    def test_too_many_scans_are_refused_before_they_are_decoded(self, count, side):
        content = many_scans(count)
        size = content.index(b"\xff\xc2") + 5
        content = content[:size] + struct.pack(">HH", side, side) + content[size + 4 :]
        most = 500 if side == 8 else 2**31 // side**2
        with pytest.raises(UnreadableImage, match=rf"it has {count + 10:,} scans; the limit for its size is {most:,}"):
            decode(content)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\xff\xd8\xff\xe0", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"), (b"BM", "BMP"),
        (b"II*\0", "TIFF"), (b"MM\0+", "TIFF"), (b"GIF89a", "GIF"), (b"\0\0\0\x1cftypavif", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0avif", "AVIF"), (b"\0\0\0\x18ftypmif1\0\0\0\0heic", None), (b"RIFF\0\0\0\0WAVE", None),
        (b"", None), (b"<svg", None),
    ],
)  # fmt: skip
def test_a_format_is_known_by_its_first_bytes(start, name):
    found = parse_image_file(start + bytes(20))
    assert (found[0] if found else None) == name
