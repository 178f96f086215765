"""Just enough SVG: elements, scales, ticks, paths, and images of a few colours."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float, UInt8


@dataclass(frozen=True)
class Scale:
    """A straight map from values to a picture's units.

    Attributes:
        low: value that lands on `start`.
        high: value that lands on `end`.
        start: picture's units.
        end: picture's units; below `start` for an axis that points up.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, values: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Where values land."""
        share = (values - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def at(self, value: float) -> float:
        """Where one value lands."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        """Round values inside the scale, about so many of them: steps of 1, 2 or 5 times 10^k."""
        rough = abs(self.high - self.low) / max(about, 1)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999) * power
        first, last = sorted((self.low, self.high))
        numbers = range(math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) + 1)
        return [number * step for number in numbers]

    @property
    def attribute(self) -> str:
        """The scale as a script on the page reads it."""
        return ",".join(f"{value:.6g}" for value in (self.low, self.high, self.start, self.end))


def element(tag: str, *children: str, **attributes: object) -> str:
    """An element as markup.

    Args:
        tag: its name.
        children: markup; `words` makes it from plain text.
        attributes: a trailing underscore is dropped and the others become hyphens; None and
            False leave the attribute out.
    """
    parts = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        if isinstance(value, float | np.floating):
            value = f"{value:.2f}".rstrip("0").rstrip(".")
        parts.append(f'{name.rstrip("_").replace("_", "-")}="{escape(str(value))}"')
    opening = " ".join(parts)
    return f"<{opening}>{''.join(children)}</{tag}>" if children else f"<{opening}/>"


def words(text: str) -> str:
    """Plain text as markup."""
    return escape(text, quote=False)


def label(text: str, x: float, y: float, **attributes: object) -> str:
    """Text in the picture."""
    return element("text", words(text), x=float(x), y=float(y), **attributes)


def path(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> str:
    """Path data through points; what is not finite leaves a gap."""
    pieces: list[str] = []
    pen = "M"
    for here, there in zip(x.tolist(), y.tolist(), strict=True):
        if math.isfinite(here) and math.isfinite(there):
            pieces.append(f"{pen}{here:.1f} {there:.1f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(pieces)


def number(value: float) -> str:
    """A short number for an axis."""
    return f"{value:.4g}" if value else "0"


def png_uri(pixels: UInt8[np.ndarray, "height width 3"]) -> str:
    """A picture as the `data:` address of a PNG file (RFC 2083: one scan line a filter byte)."""
    height, width, _ = pixels.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    chunks: Sequence[tuple[bytes, bytes]] = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    file = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")
