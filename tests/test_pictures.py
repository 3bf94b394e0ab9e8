"""What people hand over as an image is prepared in one way, and what is none is one clear error."""

import io
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image, ImageOps

from deepen.core.errors import InputError
from deepen.decoding.decode import UnreadableImage, decode
from deepen.inference.pictures import list_pictures, read_picture

SIZE = (8, 6)
SHAPES = "(height, width) or (height, width, 1, 3 or 4)"


@pytest.fixture
def rgb(rng):
    return rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)


def read(image, channels=3):
    return read_picture("images[7]", image, SIZE, channels)


def saved(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def refused(image, several=False):
    with pytest.raises(InputError if several else UnreadableImage) as error:
        list_pictures(image) if several else read(image)
    assert str(error.value).isprintable()
    return str(error.value)


def turned(pixels, kind="JPEG", orientation=6, **options):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return saved(Image.fromarray(pixels), kind, exif=tags, **options)


class TestOneWay:
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize(
        "content",
        [
            picture("P", (9, 7), 3), picture("P", (9, 7), 0, transparency=0), picture("1", (9, 7), 1),
            picture("RGBA", (9, 7), (1, 2, 3, 80)), picture("LA", (9, 7), (9, 80)), picture("L", (9, 7), 7, transparency=7),
            picture("I;16", (9, 7), 0x9876), picture("CMYK", (9, 7), (9, 8, 7, 6), "JPEG"), picture("RGB", (9, 7), (1, 2, 3), "BMP"),
            picture("RGB", (9, 7), (1, 2, 3), "GIF"), picture("CMYK", (9, 7), (9, 8, 7, 6), "TIFF"), picture("YCbCr", (9, 7), (9, 8, 7), "TIFF"),
        ],
    )  # fmt: skip
    def test_a_path_its_content_a_file_object_and_a_pil_image_are_one_image(self, tmp_path, content, channels):
        (tmp_path / "x").write_bytes(content)
        expected = decode(content, SIZE, channels)
        for image in (
            tmp_path / "x",
            str(tmp_path / "x"),
            content,
            io.BytesIO(content),
            Image.open(io.BytesIO(content)),
        ):
            np.testing.assert_array_equal(read(image, channels).pixels, expected)

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
    def test_a_pil_image_is_turned_upright_as_its_file_is(self, rgb, kind, orientation):
        content = turned(rgb, kind, orientation)
        np.testing.assert_array_equal(read(Image.open(io.BytesIO(content))).pixels, decode(content, SIZE, 3))
        loaded = Image.open(io.BytesIO(content))
        loaded.load()
        np.testing.assert_array_equal(read(loaded).pixels, decode(content, SIZE, 3))

    def test_a_pil_image_is_turned_upright_where_other_exif_is_damaged(self, rgb):
        content = turned(rgb).replace(b"MM\0*\0\0\0\x08\0\1", b"MM\0*\0\0\0\x08\0\2")  # one entry more than there is
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content))
        np.testing.assert_array_equal(read(image).pixels, decode(content, SIZE, 3))

    def test_a_pil_image_that_was_turned_is_not_turned_again(self, rgb):
        content = turned(rgb)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        np.testing.assert_array_equal(read(upright).pixels, decode(content, SIZE, 3))

    def test_arrays_are_the_images_that_pil_makes_of_them(self, rgb):
        rgba = np.dstack([rgb, rgb[..., 0]])
        for array in (rgb, rgba, rgb[..., 0], rgb[::2, ::-1]):
            np.testing.assert_array_equal(read(array).pixels, read(Image.fromarray(array)).pixels)
        np.testing.assert_array_equal(read(rgb[..., :1]).pixels, read(rgb[..., 0]).pixels)

    @pytest.mark.parametrize(
        ("mode", "value"),
        [("HSV", (0, 255, 255)), ("YCbCr", (76, 85, 255)), ("CMYK", (0, 255, 255, 0)), ("RGBX", (255, 0, 0, 9)), ("RGBa", (255, 0, 0, 255)),
         ("RGBA", (255, 0, 0, 255))],
    )  # fmt: skip
    def test_red_is_red_in_every_mode(self, mode, value):
        assert read(Image.new(mode, (9, 9), value)).pixels[0, 0].tolist() == pytest.approx([255, 0, 0], abs=2)

    @pytest.mark.parametrize(
        ("mode", "value"),
        [("L", 200), ("LA", (200, 255)), ("La", (200, 255)), ("I;16", 200 << 8), ("I;16B", 200 << 8), ("I", 200 << 8)],
    )
    def test_grey_is_grey_in_every_mode(self, mode, value):
        assert np.unique(read(Image.new(mode, (9, 9), value)).pixels).tolist() == [200]

    @pytest.mark.parametrize("mode", ["LA", "PA", "RGBA", "La", "RGBa"])
    def test_transparent_pixels_are_white_in_every_mode(self, mode):
        assert read(Image.new(mode, (9, 9), 0)).pixels.min() == 255

    def test_a_pil_image_that_is_given_twice_is_read_by_one_thread(self, rgb):
        content = saved(Image.fromarray(rgb).resize((900, 900)), "JPEG")
        expected = decode(content, SIZE, 3)
        with ThreadPoolExecutor(8) as threads:
            for _ in range(20):
                image = Image.open(io.BytesIO(content))
                for found in threads.map(read, [image] * 8):
                    np.testing.assert_array_equal(found.pixels, expected)

    def test_notes_name_the_image(self, tmp_path):
        (tmp_path / "x.png").write_bytes(picture("I;16", value=100))
        assert read(tmp_path / "x.png").notes[0].startswith(f"{tmp_path / 'x.png'}: is nearly black")
        assert read(Image.new("I", (8, 8), 200)).notes[0].startswith("images[7]: is nearly black")


class TestSeveral:
    def test_an_array_of_several_images_is_each_in_turn(self, rgb):
        for channels in (1, 3, 4):
            several = np.zeros((5, 9, 12, channels), np.uint8)
            assert [image.shape for image in list_pictures(several)] == [(9, 12, channels)] * 5
        for one in (rgb, rgb[..., 0], rgb[..., :1], np.zeros((4, 5, 4), np.uint8)):
            assert [image.shape for image in list_pictures(one)] == [one.shape]

    def test_no_image_of_a_shape_is_none(self):
        assert list(list_pictures(np.empty((0, 9, 12, 3), np.uint8))) == []

    def test_an_array_of_paths_is_several_images(self):
        assert list(list_pictures(np.array(["a.png", "b.png"]))) == ["a.png", "b.png"]

    def test_lists_and_generators_stay_what_they_are(self, rgb):
        for several in ([rgb, "x.png"], (image for image in [rgb]), (rgb,), [rgb.tobytes()]):
            assert list_pictures(several) is several

    @pytest.mark.parametrize("one", ["x.png", b"x", io.BytesIO(), Image.new("L", (1, 1))])
    def test_one_image_is_a_list_of_one(self, one):
        assert list_pictures(one) == [one]


class TestErrors:
    @pytest.mark.parametrize("several", [False, True])
    @pytest.mark.parametrize(
        ("array", "told"),
        [
            (np.zeros((3, 9, 12), np.uint8), f"an array of uint8 and shape (3, 9, 12); give uint8, 0-255, of shape {SHAPES}"),
            (np.zeros((9, 12, 2), np.uint8), "shape (9, 12, 2)"),
            (np.zeros(5, np.uint8), "shape (5,)"),
            (np.zeros((), np.uint8), "shape ()"),
            (np.zeros((1, 1, 9, 12, 3), np.uint8), "shape (1, 1, 9, 12, 3)"),
            (np.zeros((9, 0, 3), np.uint8), "shape (9, 0, 3)"),
            (np.zeros((9, 12, 3)), "an array of float64 and shape (9, 12, 3); give uint8, 0-255, of shape"),
            (np.zeros((9, 12), np.float32), "an array of float32"),
            (np.zeros((9, 12), bool), "an array of bool"),
            (np.zeros((9, 12), np.int64), "an array of int64"),
            (np.zeros((9, 12), np.uint16), "an array of uint16"),
            (np.zeros((5, 3, 9, 12), np.uint8), "shape (5, 3, 9, 12)"),
        ],
    )  # fmt: skip
    def test_arrays_of_other_shapes_and_types_are_errors(self, array, told, several):
        assert told in refused(array, several)
        assert refused(array, several).startswith("images: " if several else "images[7]: ")

    def test_errors_on_arrays_have_remedies(self):
        assert "array.transpose(1, 2, 0) puts channels last" in refused(np.zeros((3, 9, 12), np.uint8))
        assert "array.transpose(0, 2, 3, 1) puts channels last" in refused(np.zeros((5, 3, 9, 12), np.uint8), True)
        assert "array[..., None] for several grey ones" in refused(np.zeros((20, 9, 12), np.uint8), True)
        assert "or (images, height, width, 1, 3 or 4)" in refused(np.zeros(3, np.uint8), True)

    def test_several_images_in_place_of_one_are_an_error(self):
        assert "shape (5, 9, 12, 3)" in refused(np.zeros((5, 9, 12, 3), np.uint8))

    @pytest.mark.parametrize("several", [False, True])
    def test_tensors_say_how_to_convert_them(self, several):
        for shape, how in (((3, 9, 12), ".permute(1, 2, 0)"), ((5, 3, 9, 12), ".permute(0, 2, 3, 1)"), ((9, 12), "")):
            told = refused(torch.zeros(shape, dtype=torch.uint8), several)
            assert told.endswith(
                f"a tensor of torch.uint8 and shape {shape}; give an array of uint8, 0-255, channels last: tensor{how}.cpu().numpy()"
            )

    @pytest.mark.parametrize("thing", [5, None, 1.5, {"a": 1}, [[1, 2], [3, 4]], [1, 2, 3]])
    def test_objects_that_are_not_images_are_errors(self, thing):
        name = type(thing).__name__
        assert refused(thing, True) == (
            f"images: {name} is not an image; give a path, the bytes of a file, a binary file object, a PIL image or a uint8 "
            "array, or several of them"
        )
        assert refused(thing).startswith(f"images[7]: {name} is not an image; give a path")

    def test_a_file_object_of_text_is_an_error(self):
        assert "images[7]: StringIO is not an image; give a path, the bytes of a file, a binary" in refused(
            io.StringIO("x")
        )

    @pytest.mark.parametrize("mode", ["F", "LAB"])
    def test_modes_that_do_not_say_what_is_white(self, mode):
        told = refused(Image.new(mode, (9, 9)))
        assert told.startswith("images[7]: can't be read as an image (its ")
        assert "; convert it to 8-bit RGB or greyscale); replace or leave it out" in told

    def test_a_file_that_is_not_an_image_is_an_error(self, tmp_path):
        (tmp_path / "a\nb").write_bytes(b"no")
        told = refused(tmp_path / "a\nb")
        assert (
            "a\\nb': can't be read as an image (unknown format; supported: JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF); replace"
            in told
        )
        assert refused(b"no").startswith("images[7]: can't be read as an image (unknown format; supported: JPEG")
        assert "(No such file or directory)" in refused("none.png")
        assert "(embedded null byte)" in refused("a\0b")

    @pytest.mark.parametrize(
        "error", [RecursionError, SystemError, AssertionError, AttributeError, KeyError, MemoryError]
    )
    def test_whatever_a_pil_image_raises_names_it(self, error):
        class Bad(Image.Image):
            width = height = 5

            def load(self):
                raise error("x")

        assert refused(Bad()).startswith("images[7]: can't be read as an image (")
