"""Images of 16 bits a sample keep their brightness, or a note says that they may not."""

import struct
import zlib

import numpy as np
import pytest
from bad_input import chunk, saved, tiff_with
from PIL import Image

from deepen.decoding.decode import UnreadableImage, decode_noted

CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


@pytest.fixture
def twelve(rng):
    """Values of 12 bits, (height, width, channels)."""
    return lambda channels=1: rng.integers(0, 4096, (5, 7, channels)).astype(np.uint16)


def png(values, color, bits=None, more=b""):
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    said = chunk(b"sBIT", bytes([bits] * channels)) if bits else b""
    data = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in values))
    chunks = chunk(b"IHDR", header) + said + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff(values, order="<", maximum=None, planes=1, photometric=2):
    """An uncompressed TIFF of 16 bits a sample."""
    height, width, channels = values.shape
    data = values.astype(order + "u2").tobytes()
    tags = {256: width, 257: height, 259: 1, 262: photometric, 277: channels, 278: height, 279: len(data), 284: planes}
    tags |= {281: maximum} if maximum else {}
    count = len(tags) + 2
    end = 10 + 12 * count + 4
    entries = {tag: struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags.items()}
    bits = end if channels > 2 else 16
    entries[258] = struct.pack(order + "HHI", 258, 3, channels)
    entries[258] += struct.pack(order + "I", bits) if channels > 2 else struct.pack(order + "HH", bits, 0)
    entries[273] = struct.pack(order + "HHII", 273, 4, 1, end + 2 * channels)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, count)
    sizes = struct.pack(f"{order}{channels}H", *[16] * channels)
    return head + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4) + sizes + data


def upper(values):
    """The 8 bits that a value of 12 should have."""
    found = (values >> 4).astype(np.uint8)
    return found[..., 0] if values.shape[2] == 1 else found


@pytest.mark.parametrize("color", [0, 2])
class TestPNG:
    def test_a_png_that_declares_twelve_bits_keeps_its_brightness(self, twelve, color):
        values = twelve(CHANNELS[color])
        found = decode_noted(png(values, color, 12))
        np.testing.assert_array_equal(found.pixels, upper(values))
        assert found.notes == ()

    @pytest.mark.parametrize("repeat", [False, True])
    def test_a_png_scaled_to_sixteen_bits_is_left_as_it_is(self, twelve, color, repeat):
        values = twelve(CHANNELS[color]) // 64  # dark
        scaled = values << 4 | (values >> 8 if repeat else 0)
        np.testing.assert_array_equal(decode_noted(png(scaled, color, 12)).pixels, upper(values))

    @pytest.mark.parametrize("bits", [5, 8, 10])
    def test_a_png_that_declares_fewer_bits_keeps_its_brightness(self, twelve, color, bits):
        values = twelve(CHANNELS[color]) >> (12 - bits)
        values[0, 0, 0] = 2**bits - 1
        found = decode_noted(png(values, color, bits)).pixels
        assert found.max() == 255
        np.testing.assert_allclose(found.reshape(values.shape), values * (255 / (2**bits - 1)), atol=1)

    def test_twelve_bits_without_a_declaration_are_noted(self, twelve, color):
        found = decode_noted(png(twelve(CHANNELS[color]), color))
        assert found.pixels.max() == 15
        (note,) = found.notes
        assert note.startswith("is nearly black: none of its 16-bit values exceeds ")
        assert note.endswith("(PNG: sBIT, TIFF: MaxSampleValue)")

    @pytest.mark.parametrize("scale", [0, 1 << 4])
    def test_a_png_of_the_whole_range_or_all_black_has_no_note(self, twelve, color, scale):
        values = twelve(CHANNELS[color]) * scale
        found = decode_noted(png(values, color))
        np.testing.assert_array_equal(found.pixels, upper(values >> 4))
        assert found.notes == ()

    def test_a_transparent_value_of_a_png_becomes_white(self, twelve, color):
        values = twelve(CHANNELS[color]) << 4
        key = struct.pack(f">{CHANNELS[color]}H", *values[1, 2])
        found = decode_noted(png(values, color, more=chunk(b"tRNS", key))).pixels
        assert (found[1, 2] == 255).all()
        np.testing.assert_array_equal(found[2:], upper(values >> 4)[2:])


def test_opacity_is_scaled_by_as_many_bits_as_colours(twelve):
    values = twelve(4)
    values[..., 3] = 4095
    np.testing.assert_array_equal(decode_noted(png(values, 6, 12)).pixels, upper(values)[..., :3])
    assert "nearly black" in decode_noted(png(twelve(2), 4)).notes[0]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
class TestTIFF:
    def test_a_tiff_that_declares_its_maximum_keeps_its_brightness(self, twelve, order, channels):
        values = twelve(channels)
        values[0, 0] = 4095
        kind = 2 if channels == 3 else 1
        found = decode_noted(tiff(values, order, maximum=4095, photometric=kind))
        np.testing.assert_array_equal(found.pixels, upper(values))
        assert found.notes == ()

    def test_twelve_bits_without_a_declaration_are_noted(self, twelve, order, channels):
        found = decode_noted(tiff(twelve(channels), order, photometric=2 if channels == 3 else 1))
        assert "nearly black" in found.notes[0]


def test_a_tiff_that_pillow_reads_wrongly_is_refused(twelve):
    with pytest.raises(
        UnreadableImage, match="16-bit TIFF with separate planes is not supported; save it with interleaved channels"
    ):
        decode_noted(tiff(twelve(3), planes=2))
    with pytest.raises(UnreadableImage, match="16-bit TIFF with 0 for white"):
        decode_noted(tiff(twelve(), photometric=0))


def test_integers_of_32_bits_are_taken_where_they_need_16(twelve):
    image = Image.fromarray(twelve()[..., 0].astype(np.int32) << 4)
    found = decode_noted(saved(image, "TIFF"))
    np.testing.assert_array_equal(found.pixels, np.asarray(image) >> 8)
    with pytest.raises(
        UnreadableImage, match="its values range from -1 to 70,000, outside 0 to 65,535; convert it to 8 bits"
    ):
        decode_noted(saved(Image.fromarray(np.array([[-1, 70_000]], np.int32)), "TIFF"))


def test_a_tiff_in_strips_has_the_same_pixels(twelve, monkeypatch):
    values = twelve(3)
    whole = decode_noted(png(values, 2, 12))
    monkeypatch.setattr("deepen.decoding.strips._STRIP", 14)
    np.testing.assert_array_equal(decode_noted(png(values, 2, 12)).pixels, whole.pixels)


def test_more_strips_than_an_image_has_are_refused(twelve):
    with pytest.raises(UnreadableImage, match="it has 100,000,000 strips or tiles; the limit is 1,048,576"):
        decode_noted(tiff_with(tiff(twelve(), photometric=1), 279, 0, count=10**8))
