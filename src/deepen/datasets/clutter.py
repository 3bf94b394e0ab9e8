"""Files and folders that systems, file managers and tools leave among photos: skipped without a word, everywhere."""

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
_TRASH = ".trash-"  # and a user's number: the trash of a disk on Linux
_APPLEDOUBLE = b"\0\5\x16\7"  # what macOS keeps of a file beside it, named as it with ._ in front


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is clutter, whatever is in it."""
    lower = name.lower()
    return lower in _NAMES or lower.startswith(_TRASH)


def is_resource_fork(head: bytes) -> bool:
    """Whether a file with these first bytes holds what macOS knows of another one."""
    return head.startswith(_APPLEDOUBLE)
