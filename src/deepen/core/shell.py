"""Quote names and paths for a shell, in the commands that messages suggest."""

import os
import shlex


def quote_word(word: object) -> str:
    """Quote a word for a shell, also one with unprintable characters."""
    text = str(word)
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(chr(b) if 32 <= b < 127 and chr(b) not in "\\'" else f"\\x{b:02x}" for b in os.fsencode(text))
    return f"$'{escaped}'"


def quote_path(path: object) -> str:
    """Quote a path for a shell; one that starts with a dash gets ./ before it, or commands would read options."""
    text = str(path)
    return quote_word(f"./{text}" if text.startswith("-") else text)
