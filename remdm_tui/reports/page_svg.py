"""Turns an SVG document of matplotlib into an element of a page: no styles, unique ids, the page's own colours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from remdm_tui.reports.plots import INK

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
LINK = f"{{{XLINK}}}href"
DROPPED = {f"{{{SVG}}}metadata", f"{{{SVG}}}style"}


def element(document: str, prefix: str, label: str, sized: bool = False) -> str:
    """Return the <svg> element for HTML.

    Style attributes become presentation attributes, which a strict content security policy allows and a page's rules
    override; ids get the prefix; INK becomes the text's colour; label is read by screen readers.
    sized: keep the size instead of filling the parent element.
    """
    root = ElementTree.fromstring(document)
    _remove_dropped(root)
    for node in root.iter():
        _move_style(node)
        _prefix_ids(node, prefix)
    root.attrib.pop("version", None)
    if not sized:
        del root.attrib["width"], root.attrib["height"]
    root.set("role", "img")
    root.set("aria-label", label)
    for node in root.iter():
        node.tag = node.tag.removeprefix(f"{{{SVG}}}")
    return ElementTree.tostring(root, encoding="unicode")


def _remove_dropped(node: ElementTree.Element) -> None:
    for child in list(node):
        if child.tag in DROPPED:
            node.remove(child)
        else:
            _remove_dropped(child)


def _move_style(node: ElementTree.Element) -> None:
    for name, value in _declarations(node.attrib.pop("style", "")):
        node.set(name, value)
    for name in ("fill", "stroke"):
        if node.get(name) == INK:
            node.set(name, "currentColor")


def _declarations(style: str) -> Iterable[tuple[str, str]]:
    for declaration in style.split(";"):
        name, found, value = declaration.partition(":")
        if found:
            yield name.strip(), value.strip()


def _prefix_ids(node: ElementTree.Element, prefix: str) -> None:
    if "id" in node.attrib:
        node.set("id", f"{prefix}-{node.attrib['id']}")
    if LINK in node.attrib:
        node.set("href", f"#{prefix}-{node.attrib.pop(LINK).removeprefix('#')}")
    for name in ("clip-path", "fill", "mask"):
        if "url(#" in node.get(name, ""):
            node.set(name, re.sub(r"url\(#", f"url(#{prefix}-", node.attrib[name]))
