"""Pictures of episodes: Hovmoeller strips of truth, model and error, time downwards and the ring across."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.errors import L96BenchError

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

__all__ = ["FPS", "HEIGHT", "WIDTH", "EpisodePicture", "History", "Panel", "shortened"]

HEIGHT, WIDTH = 400, 640
"""Pixels of every frame: multiples of 16, as video encoders want them."""
FPS = 15
"""Frames a second, one frame a step."""
_LEFT, _RIGHT, _GAP = 52, 16, 20
_TOP, _BOTTOM, _LINE = 70, 62, 14
"""Pixels above and below the strips, and for each line of text under them."""
_INK, _FAINT, _PAPER = (32, 32, 36), (112, 112, 118), (255, 255, 255)
_AHEAD, _MISSING = (243, 243, 244), (184, 184, 184)
_STATE_COLOURS, _ERROR_COLOURS = "RdBu_r", "PuOr_r"


@dataclass(frozen=True, slots=True)
class Panel:
    """One strip of a picture, coloured from ``centre - reach`` to ``centre + reach``; an `error` has other colours."""

    title: str
    centre: float
    reach: float
    error: bool = False

    def colours(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the colours (..., 3) of values; grey for NaN."""
        table = _table(_ERROR_COLOURS if self.error else _STATE_COLOURS)
        with np.errstate(over="ignore", invalid="ignore"):
            place = np.nan_to_num((values - self.centre) * (127.5 / self.reach) + 128.0, nan=-1.0)
        index = np.clip(place, 0.0, 255.0).astype(np.int64)
        return np.where(np.isnan(values)[..., None], np.array(_MISSING, np.uint8), table[index])


@dataclass(frozen=True, slots=True)
class EpisodePicture:
    """Pictures of one environment, all with the same size, scales and titles."""

    title: str
    panels: tuple[Panel, ...]
    K: int
    n_times: int
    interval: float
    n_lines: int = 0

    def frame(
        self,
        records: Sequence[ArrayLike],
        status: str = "",
        lines: Sequence[str] = (),
        start: float = 0.0,
        corner: str | None = None,
    ) -> NDArray[np.uint8]:
        """Return the picture (HEIGHT, WIDTH, 3) of records (time, K), one per panel, or raise `L96BenchError`."""
        from PIL import Image, ImageDraw

        arrays = [np.asarray(record, dtype=np.float64) for record in records]
        n = len(arrays[0]) if arrays else 0
        if len(arrays) != len(self.panels) or any(array.shape != (n, self.K) for array in arrays):
            raise L96BenchError(
                f"expected {len(self.panels)} records (time, {self.K}), got {[array.shape for array in arrays]}"
            )
        first = max(n - self.n_times, 0)
        pixels = _page(self).copy()
        rows, columns = self._samples(n - first)
        for (left, right), panel, array in zip(self._boxes(), self.panels, arrays, strict=True):
            if n:
                pixels[_TOP : _TOP + len(rows), left:right] = panel.colours(array[first:])[rows[:, None], columns]
        image = Image.fromarray(pixels)
        draw = ImageDraw.Draw(image)
        self._time_axis(draw, start + first * self.interval)
        now = f"t = {start + max(n - 1, 0) * self.interval:.2f} MTU" if corner is None else corner
        draw.text((WIDTH - _RIGHT, 8), now, _INK, _font(14), anchor="ra")
        draw.text((_LEFT, 30), status, _FAINT, _font(11))
        for i, line in enumerate(shortened(lines, self.n_lines)):
            draw.text((_LEFT, HEIGHT - 6 - _LINE * (self.n_lines - i)), _fitted(line), _INK, _font(11))
        return np.array(image)

    @property
    def _height(self) -> int:
        return HEIGHT - _TOP - _BOTTOM - self.n_lines * _LINE

    def _boxes(self) -> list[tuple[int, int]]:
        """Return the first and last column of pixels of every strip."""
        n = len(self.panels)
        width = (WIDTH - _LEFT - _RIGHT - (n - 1) * _GAP) // n
        return [(left, left + width) for left in range(_LEFT, _LEFT + n * (width + _GAP) - 1, width + _GAP)]

    def _samples(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which sample every row of pixels shows, for the rows that n samples fill, and every column's point."""
        left, right = self._boxes()[0]
        rows = np.arange(self._height) * self.n_times // self._height
        return rows[rows < n], np.arange(right - left) * self.K // (right - left)

    def _time_axis(self, draw: ImageDraw, start: float) -> None:
        """Draw times at the left edge, `start` being that of the uppermost sample."""
        span = self.n_times * self.interval
        step = _round_step(span, 6)
        for i in range(math.ceil(start / step - 1e-9), math.floor((start + span) / step - 1e-9) + 1):
            y = _TOP + round((i * step - start) / span * self._height)
            draw.line((_LEFT - 5, y, _LEFT - 2, y), _FAINT)
            draw.text((_LEFT - 8, y), f"{i * step:g}", _FAINT, _font(10), anchor="rm")


class History:
    """The latest `n_times` samples (K,) of several rows of an environment and their panels, for pictures."""

    def __init__(self, n_rows: int, n_panels: int, n_times: int, K: int) -> None:
        self._samples = np.full((n_rows, n_panels, n_times, K), np.nan)
        self._counts = np.zeros(n_rows, dtype=np.int64)

    def clear(self, rows: NDArray[Any]) -> None:
        """Forget the samples of some rows, given by mask or index."""
        self._counts[rows] = 0

    def add(self, rows: NDArray[Any], *values: NDArray[np.float64]) -> None:
        """Append one sample (row, K) of each panel to some rows, given by mask or index."""
        index = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        at = self._counts[index] % self._samples.shape[2]
        for panel, value in enumerate(values):
            self._samples[index, panel, at] = value
        self._counts[index] += 1

    def of(self, row: int) -> tuple[list[NDArray[np.float64]], int]:
        """Return the kept samples (time, K) of every panel of a row, oldest first, and how many older ones are gone."""
        n, length = int(self._counts[row]), self._samples.shape[2]
        gone = max(n - length, 0)
        order = np.arange(gone, n) % length
        return list(self._samples[row][:, order]), gone


@lru_cache(maxsize=32)
def _page(picture: EpisodePicture) -> NDArray[np.uint8]:
    """Return the common part of every frame: title, frames, points, and the colour bars with their values."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((_LEFT, 8), picture.title, _INK, _font(14))
    bottom = _TOP + picture._height
    draw.text((_LEFT - 8, _TOP - 16), "MTU", _FAINT, _font(10), anchor="ra")
    every = math.ceil(picture.K / 10)
    for (left, right), panel in zip(picture._boxes(), picture.panels, strict=True):
        width = right - left
        draw.text((left, _TOP - 19), panel.title, _INK, _font(12))
        draw.rectangle((left - 1, _TOP - 1, right, bottom), _AHEAD, _FAINT)
        for k in range(0, picture.K, every):
            draw.text((left + (k + 0.5) * width / picture.K, bottom + 3), str(k), _FAINT, _font(10), anchor="ma")
        draw.text((left - 6, bottom + 3), "k", _FAINT, _font(10), anchor="ra")
        bar = panel.colours(panel.centre + panel.reach * np.linspace(-1.0, 1.0, width))
        image.paste(Image.fromarray(np.tile(bar, (10, 1, 1))), (left, bottom + 24))
        draw.rectangle((left - 1, bottom + 23, right, bottom + 34), outline=_FAINT)
        for share, anchor in ((0.0, "la"), (0.5, "ma"), (1.0, "ra")):
            value = panel.centre + (2.0 * share - 1.0) * panel.reach
            draw.text((left + share * width, bottom + 38), _number(value), _FAINT, _font(10), anchor=anchor)
    page = np.array(image)
    page.flags.writeable = False
    return page


@lru_cache(maxsize=4)
def _table(name: str) -> NDArray[np.uint8]:
    """Return the 256 colours of one of matplotlib's maps."""
    from matplotlib import colormaps

    return np.asarray(255.0 * colormaps[name](np.linspace(0.0, 1.0, 256))[:, :3] + 0.5).astype(np.uint8)


@lru_cache(maxsize=8)
def _font(size: int) -> FreeTypeFont:
    """Return the font DejaVu Sans, which comes with matplotlib and has a minus sign."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _number(value: float) -> str:
    """Return a number of three digits, with a proper minus sign and no minus zero."""
    return f"{value + 0.0:.3g}".replace("-", "\N{MINUS SIGN}")


def shortened(lines: Sequence[str], most: int) -> list[str]:
    """Return the first lines, the last of them ending in dots if there are more."""
    return list(lines) if len(lines) <= most else [*lines[: most - 1], lines[most - 1] + " ..."] if most else []


def _fitted(line: str) -> str:
    """Return the line, cut where it would leave the picture."""
    font, room = _font(11), WIDTH - _LEFT - _RIGHT
    if font.getlength(line) <= room:
        return line
    while line and font.getlength(line + " ...") > room:
        line = line[:-1]
    return line + " ..."


def _round_step(span: float, most: int) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that divides the span into at most that many parts."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * most >= span)
