"""XML from strangers: no document types, no entities, no more of anything than a scene needs."""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from sim import fields, world_file
from sim.fields import WorldError
from sim.world import Vector

MOST_ELEMENTS = 200_000
MOST_DEEP = 40
_BLOCK = 1 << 16
_DECLARATION = re.compile(r"<!(?!--|\[CDATA\[)")


def parse(text: str, root: str) -> Element:
    """The root element of a text.

    Args:
        text: XML.
        root: the name that it must have.

    Raises:
        WorldError: `file`, if the text is too long or no XML, declares anything (an entity can
            stand for gigabytes), is nested too deeply or has too many elements; or naming the root.
    """
    if len(text) > world_file.MOST_BYTES:
        raise WorldError("file", f"at most {world_file.MOST_BYTES:,} bytes", len(text))
    if found := _DECLARATION.search(text):
        got = text[found.start() : found.start() + 20]
        raise WorldError("file", "XML without <!DOCTYPE and <!ENTITY", got)
    reader = _Reader()
    parser = ElementTree.XMLParser(target=reader)
    try:
        for first in range(0, len(text), _BLOCK):
            parser.feed(text[first : first + _BLOCK])
        element = parser.close()
    except WorldError:
        raise
    except (ElementTree.ParseError, ValueError) as error:
        raise WorldError("file", "XML", str(error)) from None
    if element.tag != root:
        raise WorldError("file", f"<{root}> at the root", f"<{element.tag:.40}>")
    return element


class _Reader(ElementTree.TreeBuilder):
    """Builds elements, but not too many, and not one inside the other for ever."""

    def __init__(self) -> None:
        super().__init__()
        self._count = self._depth = 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        """Begin an element."""
        self._count, self._depth = self._count + 1, self._depth + 1
        if self._count > MOST_ELEMENTS:
            raise WorldError("file", f"at most {MOST_ELEMENTS:,} elements", "more")
        if self._depth > MOST_DEEP:
            raise WorldError("file", f"elements nested at most {MOST_DEEP} deep", "deeper nesting")
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        """End an element."""
        self._depth -= 1
        return super().end(tag)


def numbers(text: str | None, count: int, field: str) -> list[float]:
    """Numbers with spaces between them.

    Raises:
        WorldError: naming the field, if there are not so many finite ones of sane size.
    """
    words = (text or "").split()
    if len(words) != count:
        raise WorldError(field, f"{count} numbers" if count > 1 else "a number", text)
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise WorldError(field, f"{count} numbers", text) from None
    return [fields.number(value, field) for value in values]


def size(text: str | None, field: str) -> float:
    """A number above zero.

    Raises:
        WorldError: naming the field.
    """
    return fields.positive(numbers(text, 1, field)[0], field)


def sizes(text: str | None, field: str) -> Vector:
    """Three numbers above zero.

    Raises:
        WorldError: naming the field.
    """
    x, y, z = (fields.positive(value, field) for value in numbers(text, 3, field))
    return x, y, z


def label(parent: str, element: Element, place: int) -> str:
    """The path of an element, with its name or its place among its like."""
    own = f"{element.tag}[{element.get('name') or place}]"
    return f"{parent}.{own:.80}" if parent else f"{own:.80}"
