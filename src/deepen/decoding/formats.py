"""Image formats, supported and not, by file name extension and by signature (first bytes)."""

_SUPPORTED = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WebP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "AVIF": (".avif",),
}
_UNSUPPORTED = {
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
_ALL = _SUPPORTED | _UNSUPPORTED
_FORMATS = {suffix: name for name, suffixes in _ALL.items() for suffix in suffixes}
_SIGNATURES = {
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
HEAD_BYTES = 64  # of a file, enough to detect its format
NAMES = "JPEG, PNG, WebP, BMP, TIFF, GIF or AVIF"  # the supported formats, for messages


def find_format_by_name(name: str) -> str | None:
    """Return the image format of a file name extension, supported or not; None if it is not an image."""
    return _FORMATS.get("." + name.lower().rpartition(".")[2]) if "." in name else None


def find_format_by_head(head: bytes) -> str | None:
    """Return the image format of a file by its first `HEAD_BYTES` bytes, supported or not; None if unknown."""
    for start, name in _SIGNATURES.items():
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and head[6:10] == bytes(4) and len(head) > 26:  # a text file may start with the two letters
        return "BMP"
    if head[4:8] == b"ftyp":
        brands = [head[at : at + 4] for at in (8, *range(16, min(len(head), int.from_bytes(head[:4])), 4))]
        known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return "AVIF" if "AVIF" in known else next(iter(known), None)
    return None


def require_supported(name: str, head: bytes) -> None:
    """Raise ValueError if an image's format, by its first bytes or else its name, is not supported."""
    image_format = find_format_by_head(head)
    if image_format in (None, "TIFF"):  # raw camera data may start like TIFF
        image_format = find_format_by_name(name)
    if image_format in _UNSUPPORTED:
        raise ValueError(f"{image_format} is not supported; convert it to JPEG or PNG")
