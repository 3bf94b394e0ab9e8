"""System files and folders (.DS_Store, Thumbs.db, .git, ...) that are silently ignored everywhere."""

_NAMES = frozenset(
    (
        *(".ds_store", "__macosx", ".appledouble", ".localized", "icon\r", ".fseventsd"),  # macOS
        *(".spotlight-v100", ".temporaryitems", ".trashes", ".documentrevisions-v100"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),  # Windows
        *(".directory", ".thumbnails", ".cache", ".trash", "lost+found"),  # Linux
        *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"),  # Synology, QNAP
        *(".@__thumb", ".@upload_cache", "@sharebin", "@synoresource"),
        *(".picasa.ini", "picasa.ini", ".picasaoriginals", ".nomedia", ".stfolder", ".stversions"),  # photo tools
        *(".ipynb_checkpoints", "__pycache__", ".git", ".svn", ".hg", ".dvc", ".venv", ".idea", ".vscode"),
    )
)
_TRASH = ".trash-"  # followed by a user id: the trash folder of a Linux disk
_APPLEDOUBLE = b"\0\5\x16\7"  # macOS metadata files, named ._<file>


def is_clutter(name: str) -> bool:
    """Return whether a file or folder is ignored because of its name."""
    lower = name.lower()
    return lower in _NAMES or lower.startswith(_TRASH)


def is_resource_fork(head: bytes) -> bool:
    """Return whether these first bytes are those of a macOS metadata file (AppleDouble)."""
    return head.startswith(_APPLEDOUBLE)
