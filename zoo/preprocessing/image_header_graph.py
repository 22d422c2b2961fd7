"""What the first bytes of an image file say, in graph operations: its size, and whether it can be decoded.

A decoder op that meets a damaged file fails all rows of a request. So headers and blocks are walked first, as far as
that needs no decoding. Every walk is bounded, whatever the bytes say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from zoo.preprocessing.image_file import BMP_BITS, LONGEST_SIDE

# Steps of a walk: the segments of a JPEG (real ones have some dozens), the chunks of a PNG, and the blocks of the first
# frame of a GIF, 255 bytes each.
MOST_SEGMENTS, MOST_CHUNKS, MOST_BLOCKS = 1000, 20_000, 20_000
FRAME_MARKERS = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive; the rest is decoded nowhere
PNG_KINDS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # bits by kind of colour
PNG_PALETTE = 3


class Bytes:
    """The bytes of a file, read anywhere: past its ends they are 0.

    Args:
        text: string [].
    """

    def __init__(self, text: tf.Tensor) -> None:
        self.text = text
        self.length = tf.strings.length(text)
        self.values = tf.concat([tf.io.decode_raw(text, tf.uint8), [0]], axis=0)

    def number(self, at: tf.Tensor | int, size: int, little: tf.Tensor | bool = False) -> tf.Tensor:
        """Numbers of `size` bytes from the places `at` int32 [...] on: int32 [...], where 4 bytes may be negative."""
        places = tf.convert_to_tensor(at)[..., None] + tf.range(size)
        places = tf.where((places >= 0) & (places < self.length), places, self.length)
        powers = [1 << (8 * each) for each in range(size)]
        powers = tf.where(little, powers, powers[::-1])
        return tf.reduce_sum(tf.cast(tf.gather(self.values, places), tf.int32) * powers, axis=-1)

    def is_at(self, at: tf.Tensor | int, text: bytes) -> tf.Tensor:
        """Whether `text` stands at a place: bool []."""
        return tf.reduce_all(self.number(at + tf.range(len(text)), 1) == tf.constant(list(text)))


class Header(NamedTuple):
    """Height and width in pixels as they are stored, int32 [], and whether the file is whole and small enough."""

    height: tf.Tensor
    width: tf.Tensor
    ok: tf.Tensor


class Jpeg(NamedTuple):
    """A JPEG: its header, and its EXIF orientation, int32 [] from 1 to 8, or 0 where there is none."""

    header: Header
    orientation: tf.Tensor


class Png(NamedTuple):
    """A PNG: its header, and whether it may be transparent, bool []."""

    header: Header
    transparent: tf.Tensor


class Bmp(NamedTuple):
    """A BMP: its header, bits a pixel, where its pixels end, where its palette begins and how many colours that has.

    All are int32 [].
    """

    header: Header
    bits: tf.Tensor
    end: tf.Tensor
    palette: tf.Tensor
    colours: tf.Tensor


class Gif(NamedTuple):
    """The first frame of a GIF; places are int32 [].

    header: of the frame alone; frame: where its descriptor begins; end: where it ends; control: where the extension
    begins that says what is transparent, or 0; palette, colours: where it begins, and its size.
    """

    header: Header
    frame: tf.Tensor
    end: tf.Tensor
    control: tf.Tensor
    palette: tf.Tensor
    colours: tf.Tensor


def small_enough(height: tf.Tensor, width: tf.Tensor, most_pixels: int) -> tf.Tensor:
    """Whether an image of this size, int32 [] both, is there at all and may be decoded: bool []."""
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    return (height > 0) & (width > 0) & (tf.maximum(height, width) <= LONGEST_SIDE) & (pixels <= most_pixels)


def jpeg(data: Bytes, most_pixels: int) -> Jpeg:
    """Walks the segments of a JPEG up to its pixels, behind which its end must come."""

    def step(at: tf.Tensor, frame: tf.Tensor, exif: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        marker = data.number(at + 1, 1)
        others = (marker == 0xC4) | (marker == 0xC8) | (marker == 0xCC)  # tables, which only look like frames
        frame = tf.where((marker & 0xF0 == 0xC0) & ~others & (frame == 0), at, frame)
        exif = tf.where((marker == 0xE1) & data.is_at(at + 4, b"Exif\0\0") & (exif == 0), at + 10, exif)
        alone = (marker == 0x01) | ((marker >= 0xD0) & (marker <= 0xD8))
        length = tf.maximum(data.number(at + 2, 2), 2)
        return at + tf.where(marker == 0xFF, 1, tf.where(alone, 2, 2 + length)), frame, exif

    def more(at: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return (data.number(at, 1) == 0xFF) & (data.number(at + 1, 1) != 0xDA)

    at, frame, exif = _walk(more, step, (2, 0, 0), MOST_SEGMENTS)
    height, width = data.number(frame + 5, 2), data.number(frame + 7, 2)
    marker, channels = data.number(frame + 1, 1), data.number(frame + 9, 1)
    rest = data.values[at:]
    ended = tf.reduce_any((rest[:-1] == 0xFF) & (rest[1:] == 0xD9))
    ok = (frame > 0) & data.is_at(at, b"\xff\xda") & ended & _among(marker, FRAME_MARKERS)
    ok &= (data.number(frame + 4, 1) == 8) & _among(channels, (1, 3, 4)) & small_enough(height, width, most_pixels)
    return Jpeg(Header(height, width, ok), tf.where(exif > 0, _orientation(data, exif), 0))


def _orientation(data: Bytes, exif: tf.Tensor) -> tf.Tensor:
    little, end = data.is_at(exif, b"II"), exif - 8 + data.number(exif - 8, 2)
    offset = data.number(exif + 4, 4, little)
    first = exif + tf.where(offset < 0, data.length, offset)
    entries = first + 2 + 12 * tf.range(data.number(first, 2, little))
    found = (data.number(entries, 2, little) == 0x0112) & (data.number(entries + 2, 2, little) == 3)
    found &= entries + 10 <= end
    values = data.number(entries + 8, 2, little)[:, None]
    return tf.concat([tf.boolean_mask(values, found)[:, 0], [0]], axis=0)[0]


def png(data: Bytes, most_pixels: int) -> Png:
    """Walks the chunks of a PNG up to its end."""

    def step(at: tf.Tensor, transparent: tf.Tensor, pixels: tf.Tensor, palette: tf.Tensor) -> tuple[tf.Tensor, ...]:
        length = data.number(at, 4)
        beyond = (length < 0) | (length > data.length - at - 12)
        return (
            tf.where(beyond, data.length, at + 12 + length),
            transparent | data.is_at(at + 4, b"tRNS"),
            pixels | data.is_at(at + 4, b"IDAT"),
            palette | data.is_at(at + 4, b"PLTE"),
        )

    def more(at: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return (at < data.length) & ~data.is_at(at + 4, b"IEND")

    none = tf.constant(False)
    at, transparent, pixels, palette = _walk(more, step, (8, none, none, none), MOST_CHUNKS)
    width, height = data.number(16, 4), data.number(20, 4)
    bits, kind = data.number(24, 1), data.number(25, 1)
    known = tf.reduce_any([(kind == each) & _among(bits, allowed) for each, allowed in PNG_KINDS.items()])
    plain = (data.number(26, 2) == 0) & (data.number(28, 1) <= 1)  # compression and filter 0, interlaced or not
    ok = data.is_at(8, b"\0\0\0\rIHDR") & known & plain & pixels & (palette | (kind != PNG_PALETTE))
    ok &= data.is_at(at + 4, b"IEND\xaeB`\x82") & small_enough(height, width, most_pixels)
    return Png(Header(height, width, ok), (kind >= 4) | (transparent & (bits < 16)))


def bmp(data: Bytes, most_pixels: int) -> Bmp:
    """Reads the header of a BMP; its height is negative in the file where the first row is the upper one."""
    start, size = data.number(10, 4, True), data.number(14, 4, True)
    width, height = data.number(18, 4, True), tf.abs(data.number(22, 4, True))
    bits, colours = data.number(28, 2, True), data.number(46, 4, True)
    ok = (size >= 40) & (start >= 14 + size) & _among(bits, BMP_BITS) & (data.number(30, 4) == 0)
    ok &= small_enough(height, width, most_pixels)
    needed = (tf.cast(width, tf.int64) * tf.cast(bits, tf.int64) + 31) // 32 * 4 * tf.cast(height, tf.int64)
    end = tf.cast(start, tf.int64) + needed
    ok &= end <= tf.cast(data.length, tf.int64)
    colours = tf.where((colours > 0) & (colours < 256), colours, 256)
    return Bmp(Header(height, width, ok), bits, tf.cast(end, tf.int32), 14 + size, colours)


def gif(data: Bytes, most_pixels: int) -> Gif:
    """Walks the blocks of a GIF up to the end of its first frame."""

    def colours(flags: tf.Tensor) -> tf.Tensor:
        return tf.where(flags >= 0x80, tf.bitwise.left_shift(2, flags & 7), 0)

    def step(at: tf.Tensor, within: tf.Tensor, frame: tf.Tensor, control: tf.Tensor) -> tuple[tf.Tensor, ...]:
        first = data.number(at, 1)
        described = at + 11 + 3 * colours(data.number(at + 9, 1))  # behind the descriptor, the palette and one byte
        frame = tf.where(~within & (first == 0x2C), at, frame)
        control = tf.where(~within & data.is_at(at, b"\x21\xf9"), at, control)
        return (
            tf.where(within, at + 1 + first, tf.where(first == 0x2C, described, at + 2)),
            tf.where(within, first != 0, True),
            frame,
            control,
        )

    def more(at: tf.Tensor, within: tf.Tensor, frame: tf.Tensor, control: tf.Tensor) -> tf.Tensor:
        first = data.number(at, 1)
        return (at < data.length) & (within | ((frame == 0) & ((first == 0x2C) | (first == 0x21))))

    shared = colours(data.number(10, 1))
    start = 13 + 3 * shared
    end, within, frame, control = _walk(more, step, (start, tf.constant(False), 0, 0), MOST_BLOCKS)
    own = colours(data.number(frame + 9, 1))
    width, height = data.number(frame + 5, 2, True), data.number(frame + 7, 2, True)
    screen = small_enough(data.number(8, 2, True), data.number(6, 2, True), most_pixels)
    ok = (frame > 0) & ~within & (end <= data.length) & (shared + own > 0)
    ok &= screen & small_enough(height, width, most_pixels)
    palette, size = tf.where(own > 0, frame + 10, 13), tf.where(own > 0, own, shared)
    return Gif(Header(height, width, ok), frame, end, control, palette, size)


def _walk(more: Callable, step: Callable, start: tuple, most: int) -> tuple[tf.Tensor, ...]:
    return tf.while_loop(more, step, start, parallel_iterations=1, maximum_iterations=most)


def _among(value: tf.Tensor, known: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(value == tf.constant(known))
