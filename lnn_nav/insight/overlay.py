"""What is written over the pictures of a film: figures, the barrier's lamp, a trail and a map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from sim.camera import FIELD_OF_VIEW, NEAR
from sim.motion import obstacle_at
from sim.record import Flight
from sim.world import Box

INK, PAPER, LIT, DARK = (22, 32, 43), (255, 255, 255), (245, 159, 58), (176, 186, 196)
TRAIL, TARGET = (37, 99, 201), (27, 127, 82)
MAP_WIDTH, MAP_MARGIN = 128, 8


@dataclass(frozen=True, eq=False)
class Caption:
    """What one picture says.

    Attributes:
        time: [s].
        speed: [m/s].
        clearance: to anything solid [m].
        lit: whether the barrier changed a command since the last picture.
        verdict: written large over the last picture; empty before.
    """

    time: float
    speed: float
    clearance: float
    lit: bool
    verdict: str = ""


def draw_over(
    pixels: UInt8[np.ndarray, "height width 3"],
    caption: Caption,
    trail: Sequence[tuple[float, float]],
    chart: Image.Image,
    here: tuple[float, float],
) -> Image.Image:
    """A picture with everything on it.

    Args:
        pixels: as rendered.
        caption: the figures.
        trail: where the drone was, oldest first, in pixels.
        chart: the small map, which is pasted into the upper left corner.
        here: the drone's place in the small map, in its pixels.
    """
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for rank, (x, y) in enumerate(trail):
        size = 0.8 + 1.4 * (rank + 1) / len(trail)
        draw.ellipse((x - size, y - size, x + size, y + size), fill=TRAIL)
    image.paste(chart, (MAP_MARGIN, MAP_MARGIN))
    x, y = here[0] + MAP_MARGIN, here[1] + MAP_MARGIN
    draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=LIT if caption.lit else TRAIL, outline=PAPER)
    _figures(draw, caption, image.width, image.height)
    _lamp(draw, caption.lit, image.width)
    if caption.verdict:
        _centred(draw, caption.verdict, image.width, image.height)
    return image


def small_map(
    flight: Flight, path: Float[np.ndarray, "N 3"], time: float = 0.0
) -> tuple[Image.Image, MapScale]:
    """The world from above, with the whole path in it, and the way from metres to its pixels.

    Args:
        flight: in its world.
        path: [m].
        time: for which obstacles that move are drawn [s].
    """
    points = np.vstack([path, [flight.world.target], [flight.world.start_position]])[:, :2]
    low, high = points.min(axis=0) - 1.2, points.max(axis=0) + 1.2
    scale = MapScale(low[0], high[1], MAP_WIDTH / (high[0] - low[0]))
    height = int(np.clip((high[1] - low[1]) * scale.pixels, 24, 96))
    chart = Image.new("RGB", (MAP_WIDTH, height), (244, 246, 248))
    draw = ImageDraw.Draw(chart)
    for item in (obstacle_at(item, time) for item in flight.world.obstacles):
        if isinstance(item, Box):
            corners = _corners(item)
            draw.polygon([scale(*corner) for corner in corners], fill=DARK)
        else:
            x, y, _ = item.center
            half_x, half_y, _ = item.half_size
            box = (*scale(x - half_x, y + half_y), *scale(x + half_x, y - half_y))
            round_ = getattr(item, "axis", "z") == "z"
            (draw.ellipse if round_ else draw.rectangle)(box, fill=DARK)
    draw.line([scale(x, y) for x, y, _ in path], fill=TRAIL, width=1)
    x, y = scale(*flight.world.target[:2])
    draw.ellipse((x - 3, y - 3, x + 3, y + 3), outline=TARGET, width=2)
    draw.rectangle((0, 0, MAP_WIDTH - 1, height - 1), outline=DARK)
    return chart, scale


@dataclass(frozen=True)
class MapScale:
    """From the world seen from above to the small map.

    Attributes:
        left: x of its left edge [m].
        top: y of its upper edge [m].
        pixels: of a metre.
    """

    left: float
    top: float
    pixels: float

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a place [m]."""
        return float((x - self.left) * self.pixels), float((self.top - y) * self.pixels)


def project(
    points: Float[np.ndarray, "N 3"],
    eye: Sequence[float],
    look_at: Sequence[float],
    size: tuple[int, int],
) -> list[tuple[float, float]]:
    """Pixels of world points as `sim.camera.render` draws them; none for those out of the picture.

    Args:
        points: world frame [m].
        eye: where the camera is [m].
        look_at: what is in the middle of the picture [m].
        size: width and height of the picture [pixels].
    """
    width, height = size
    forward = np.subtract(look_at, eye)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right)
    rays = points - np.asarray(eye)
    depth = rays @ forward
    seen = depth > 2 * NEAR
    rays, depth = rays[seen], depth[seen]
    focal = height / 2 / math.tan(math.radians(FIELD_OF_VIEW) / 2)
    x = width / 2 + focal * (rays @ right) / depth
    y = height / 2 - focal * (rays @ np.cross(right, forward)) / depth
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return list(zip(x[inside].tolist(), y[inside].tolist(), strict=True))


def _corners(item: Box) -> list[tuple[float, float]]:
    cos, sin = math.cos(item.yaw), math.sin(item.yaw)
    x, y, _ = item.center
    half_x, half_y, _ = item.half_extents
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    return [
        (x + a * half_x * cos - b * half_y * sin, y + a * half_x * sin + b * half_y * cos)
        for a, b in signs
    ]


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _figures(draw: ImageDraw.ImageDraw, caption: Caption, width: int, height: int) -> None:
    """The strip at the lower edge."""
    top = height - 20
    draw.rectangle((0, top, width, height), fill=INK)
    texts = (
        f"{caption.time:5.1f} s",
        f"{caption.speed:4.1f} m/s",
        f"clearance {caption.clearance:5.2f} m",
    )
    for text, share in zip(texts, (0.03, 0.30, 0.56), strict=True):
        draw.text((share * width, top + 3), text, font=_font(13), fill=PAPER)


def _lamp(draw: ImageDraw.ImageDraw, lit: bool, width: int) -> None:
    """The barrier's lamp, in the upper right corner."""
    right = width - 8
    draw.rounded_rectangle((right - 82, 8, right, 28), 10, fill=LIT if lit else (228, 232, 236))
    draw.ellipse((right - 75, 13, right - 65, 23), fill=PAPER if lit else DARK)
    draw.text((right - 59, 10), "barrier", font=_font(13), fill=INK if lit else (110, 122, 134))


def _centred(draw: ImageDraw.ImageDraw, text: str, width: int, height: int) -> None:
    font = _font(30)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    x, y = (width - right + left) / 2, height * 0.3 - (bottom - top) / 2
    draw.rounded_rectangle((x - 16, y - 4, x + right - left + 16, y + 40), 10, fill=PAPER)
    colour = TARGET if text == "REACHED" else (184, 41, 61)
    draw.text((x - left, y + 18 - (top + bottom) / 2), text, font=font, fill=colour)
