"""The commands, programs, links and anchors of pages of the documentation."""

import re

from dvc_project import ROOT

_SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def programs(page):
    """Return the Python programs of a page."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def commands(page, openly=()):
    """Return the shell commands below each heading of a page, in order; `openly` lists pairs of a text and its replacement."""
    text = (ROOT / page).read_text()
    for old, new in openly:
        assert old in text, f"{page} no longer has {old!r}"
        text = text.replace(old, new)
    found = {}
    for heading, body in _SECTION.findall(text):
        if blocks := re.findall(r"^```bash\n(.*?)^```$", body, re.MULTILINE | re.DOTALL):
            found[heading] = "".join(blocks)
    return found


def links(text):
    """Return the targets and fragments of a page's relative links and pictures."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(text):
    """Return the anchors of the headings of a page, as git hosts and MkDocs make them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
