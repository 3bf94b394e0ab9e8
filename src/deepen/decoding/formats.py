"""Which files are images, by the endings of their names and by their first bytes, and which of them are read."""

_READ = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WebP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "AVIF": (".avif",),
}
_UNREAD = {
    "HEIC": (".heic", ".heif", ".hif"),
    "raw camera data": (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".mrw", ".nef", ".nrw"),
        *(".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    ),
    "JPEG XL": (".jxl",),
    "JPEG 2000": (".jp2", ".j2k", ".jpx"),
    "JPEG XR": (".jxr", ".wdp"),
    "Photoshop": (".psd", ".psb"),
    "SVG": (".svg", ".svgz"),
    "netpbm": (".pbm", ".pgm", ".ppm", ".pnm"),
    "DICOM": (".dcm",),
    "an icon": (".ico",),
    "TGA": (".tga",),
    "OpenEXR": (".exr",),
}
_FORMATS = {suffix: name for formats in (_READ, _UNREAD) for name, suffixes in formats.items() for suffix in suffixes}
_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"8BPS\0": "Photoshop",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", **dict.fromkeys((b"heic", b"heix", b"heim", b"hevc", b"mif1"), "HEIC")}
HEAD_BYTES = 64  # of a file that are enough to tell its format
NAMES = "JPEG, PNG, WebP, BMP, TIFF, GIF or AVIF"  # the formats that are read, for messages


def format_of_name(name: str) -> str | None:
    """The image format that a file name ends in, also one that is not read; None where it is that of no image."""
    return _FORMATS.get("." + name.lower().rpartition(".")[2]) if "." in name else None


def format_of_head(head: bytes) -> str | None:
    """The image format of a file by its first `HEAD_BYTES` bytes, also one that is not read; None where it has none."""
    for start, name in _STARTS.items():
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and head[6:10] == bytes(4) and len(head) > 26:  # two letters alone may open a text
        return "BMP"
    if head[4:8] == b"ftyp":
        brands = [head[at : at + 4] for at in (8, *range(16, min(len(head), int.from_bytes(head[:4])), 4))]
        found = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return "AVIF" if "AVIF" in found else next(iter(found), None)
    return None


def must_be_supported(name: str, head: bytes) -> None:
    """Raise ValueError for an image in a format that is not read, by its first bytes or else its name."""
    found = format_of_head(head)
    if found in (None, "TIFF"):  # raw camera data may open as TIFF does
        found = format_of_name(name)
    if found in _UNREAD:
        raise ValueError(f"{found} is not supported; convert it to JPEG or PNG")
