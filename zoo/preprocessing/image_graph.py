"""Image files to arrays of one size: the graph face, inside a SavedModel.

Stock TensorFlow ops. It gives the pixels of `zoo.preprocessing.image`, which says what happens to an image: to the bit,
but for CMYK, where the two differ by 1/255 at most. A row that cannot be decoded, as far as its headers tell, is not
ok; damage inside of the pixels is found by the decoder op alone, which fails the request. Pillow forgives more: here
something between the segments of a JPEG is not ok, nor is a first frame of a GIF of more than 5 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf

from zoo.preprocessing import image_header_graph as header
from zoo.preprocessing.image import ImageChoices, larger, padding
from zoo.preprocessing.resize_graph import resize

# Rows decoded at the same time; each may hold an image of `most_pixels`.
AT_ONCE = 2
LUMA = (19595, 38470, 7471)  # of 65536: ITU-R 601 as Pillow has it


class GraphImage(tf.Module):
    """Image files to frames as graph operations. Batches may be empty.

    Args:
        choices: as of the host face.
    """

    def __init__(self, choices: ImageChoices) -> None:
        super().__init__()
        self.choices = choices

    @tf.autograph.experimental.do_not_convert  # loops and branches are written out
    def encode(self, image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Image files, string [B], to what a model gets.

        Returns:
            images: float32 [B, H, W, C], normalised; zeros where a row is not ok.
            ok: bool [B], False for a row that is no image that can be decoded, or one of too many pixels.
            sizes: int32 [B, 2], height and width of each image, upright; zeros where a row is not ok.
        """
        frame = (self.choices.height, self.choices.width, self.choices.channels)
        signature = (
            tf.TensorSpec(frame, tf.uint8),
            tf.TensorSpec([], tf.bool),
            tf.TensorSpec([2], tf.int32),
        )
        pixels, ok, sizes = tf.map_fn(
            self._row, image_bytes, parallel_iterations=AT_ONCE, fn_output_signature=signature
        )
        mean, deviation = (np.asarray(each, np.float32) for each in (self.choices.mean, self.choices.deviation))
        images = (tf.cast(pixels, tf.float32) / 255.0 - mean) / deviation
        return tf.where(ok[:, None, None, None], images, 0.0), ok, sizes

    def to_original(self, boxes: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
        """Boxes in pixels of the frame, float32 [B, N, 4] (y0 x0 y1 x1), in pixels of images of `sizes` int32 [B, 2].

        Returns: float32 [B, N, 4], cut at the borders of the images.
        """
        box, filled = self._place(tf.maximum(sizes, 1))  # a row that is not ok has no size
        scale = tf.tile((box[:, 2:] - box[:, :2]) / tf.cast(filled, tf.float64), [1, 2])[:, None]
        first = tf.tile(box[:, :2], [1, 2])[:, None]
        moved = tf.cast(tf.cast(boxes, tf.float64) * scale + first, tf.float32)
        return tf.clip_by_value(moved, 0.0, tf.cast(tf.tile(sizes, [1, 2])[:, None], tf.float32))

    def _row(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        data = header.Bytes(text)
        magics = [data.is_at(0, each) for each in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM")]
        magics += [data.is_at(0, b"GIF87a") | data.is_at(0, b"GIF89a"), True]
        readers = [partial(read, data, self.choices.most_pixels) for read in (_jpeg, _png, _bmp, _gif)]
        kind = tf.argmax(tf.stack(magics), output_type=tf.int32)
        pixels, ok = tf.switch_case(kind, [*readers, lambda: (_no_pixels(), tf.constant(False))])
        pixels = tf.ensure_shape(pixels, [None, None, 3])
        size = tf.where(ok, tf.shape(pixels)[:2], 0)
        frame = tf.cond(ok, lambda: self._frame(pixels), self._nothing)
        return frame, ok, size

    def _frame(self, pixels: tf.Tensor) -> tf.Tensor:
        """Upright pixels uint8 [Y, X, 3] in the frame, uint8 [H, W, C]."""
        if self.choices.channels == 1:
            pixels = _grey(pixels)
        box, filled = self._place(tf.shape(pixels)[:2])
        rows, columns = filled[0], filled[1]
        placed = resize(pixels, box, rows, columns, self.choices.interpolation)
        if self.choices.fit == "pad":
            colour = padding(self.choices)
            missing = [[0, self.choices.height - rows], [0, self.choices.width - columns], [0, 0]]
            there = tf.pad(tf.ones_like(placed[..., :1], tf.bool), missing)
            placed = tf.where(there, tf.pad(placed, missing), colour)
        return tf.ensure_shape(placed, [self.choices.height, self.choices.width, self.choices.channels])

    def _nothing(self) -> tf.Tensor:
        return tf.zeros([self.choices.height, self.choices.width, self.choices.channels], tf.uint8)

    def _place(self, sizes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The twin of `zoo.preprocessing.image.place`.

        Args:
            sizes: int32 [..., 2], height and width of images, at least 1.

        Returns:
            the part of each image that is resized, float64 [..., 4] (y0 x0 y1 x1).
            the rows and columns of the frame that it fills, int32 [..., 2].
        """
        sides, sizes = tf.cast(sizes, tf.float64), tf.cast(sizes, tf.int64)
        kept = tf.broadcast_to(tf.constant([self.choices.height, self.choices.width], tf.int64), tf.shape(sizes))
        other = tf.reverse(sizes, [-1])  # width and height
        if self.choices.fit == "pad":
            other_kept = tf.reverse(kept, [-1])
            nearest = tf.maximum((2 * sizes * other_kept + other) // (2 * other), 1)
            filled = tf.where(sizes * other_kept >= other * kept, kept, nearest)
            return tf.concat([tf.zeros_like(sides), sides], axis=-1), tf.cast(filled, tf.int32)
        whole = tf.broadcast_to(tf.constant(larger(self.choices), tf.int64), tf.shape(sizes))
        if self.choices.fit == "crop":
            other_whole = tf.reverse(whole, [-1])
            covering = other_whole * sizes // other
            whole = tf.where(sizes * other_whole > other * whole, covering, whole)
        scale = sides / tf.cast(whole, tf.float64)
        first = tf.cast((whole - kept) // 2, tf.float64) * scale
        last = tf.minimum(first + tf.cast(kept, tf.float64) * scale, sides)
        return tf.concat([first, last], axis=-1), tf.cast(kept, tf.int32)


def _no_pixels() -> tf.Tensor:
    return tf.zeros([1, 1, 3], tf.uint8)


def _decoded(ok: tf.Tensor, decode: Callable[[], tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels uint8 [Y, X, 3]; the decoder runs only where the header was ok."""
    return tf.cond(ok, decode, _no_pixels), ok


def _jpeg(data: header.Bytes, most_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    found = header.jpeg(data, most_pixels)
    turn = found.orientation

    def decode() -> tf.Tensor:
        pixels = tf.io.decode_jpeg(data.text, channels=3, dct_method="INTEGER_ACCURATE")
        pixels = tf.cond((turn >= 5) & (turn <= 8), lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
        for axis, mirrored in ((0, (3, 4, 7, 8)), (1, (2, 3, 6, 7))):
            pixels = _mirrored(pixels, axis, tf.reduce_any(turn == tf.constant(mirrored)))
        return pixels

    return _decoded(found.header.ok, decode)


def _mirrored(pixels: tf.Tensor, axis: int, needed: tf.Tensor) -> tf.Tensor:
    return tf.cond(needed, lambda: tf.reverse(pixels, [axis]), lambda: pixels)


def _png(data: header.Bytes, most_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    found = header.png(data, most_pixels)

    def on_white() -> tf.Tensor:
        pixels = tf.cast(tf.io.decode_png(data.text, channels=4), tf.uint16)  # 255 * 255 is the most it has to hold
        white, half = tf.constant(255, tf.uint16), tf.constant(127, tf.uint16)
        alpha = pixels[..., 3:]
        return tf.cast((pixels[..., :3] * alpha + white * (white - alpha) + half) // white, tf.uint8)

    def decode() -> tf.Tensor:
        return tf.cond(found.transparent, on_white, lambda: tf.io.decode_png(data.text, channels=3))

    return _decoded(found.header.ok, decode)


def _bmp(data: header.Bytes, most_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    found = header.bmp(data, most_pixels)

    def decoded(channels: int) -> tf.Tensor:
        # The op refuses a file with anything behind its pixels, which some programs write.
        return tf.io.decode_bmp(tf.strings.substr(data.text, 0, found.end), channels)

    def from_palette() -> tf.Tensor:
        chosen = tf.cast(decoded(0)[..., 0], tf.int32)
        colours = data.number(found.palette + tf.range(4 * 256), 1)
        colours = tf.where(tf.range(4 * 256) < 4 * found.colours, colours, 0)
        rgb = tf.cast(tf.reshape(colours, [256, 4]), tf.uint8)[:, 2::-1]  # blue comes first
        return tf.gather(rgb, chosen)

    decoders = {
        8: from_palette,
        24: lambda: decoded(3),
        32: lambda: decoded(4)[..., :3],  # the fourth is nothing without a mask
    }
    chosen = tf.argmax(tf.stack([found.bits == each for each in decoders]), output_type=tf.int32)
    return _decoded(found.header.ok, lambda: tf.switch_case(chosen, list(decoders.values())))


def _gif(data: header.Bytes, most_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The op decodes every frame, and what is transparent as black. So it gets another file: the first frame alone, on
    a screen of its own size, the transparent colour made white."""
    found = header.gif(data, most_pixels)

    def without_transparency(text: tf.Tensor) -> tf.Tensor:
        index = data.number(found.control + 6, 1)
        text = _put(text, found.control + 3, tf.constant(b"\0"))
        at = found.palette + 3 * tf.minimum(index, found.colours - 1)
        return tf.where(index < found.colours, _put(text, at, tf.constant(b"\xff\xff\xff")), text)

    def decode() -> tf.Tensor:
        text = _put(tf.strings.substr(data.text, 0, found.end), 6, tf.strings.substr(data.text, found.frame + 5, 4))
        text = _put(text, found.frame + 1, tf.constant(b"\0\0\0\0"))
        transparent = (found.control > 0) & (data.number(found.control + 3, 1) % 2 == 1)
        text = tf.cond(transparent, lambda: without_transparency(text), lambda: text)
        return tf.io.decode_gif(text + b"\x3b")[0]

    return _decoded(found.header.ok, decode)


def _put(text: tf.Tensor, at: tf.Tensor | int, new: tf.Tensor) -> tf.Tensor:
    """The bytes string [] with others in place of as many."""
    behind = at + tf.strings.length(new)
    rest = tf.strings.substr(text, behind, tf.strings.length(text) - behind)
    return tf.strings.join([tf.strings.substr(text, 0, at), new, rest])


def _grey(pixels: tf.Tensor) -> tf.Tensor:
    """RGB uint8 [Y, X, 3] to its luma, uint8 [Y, X, 1]."""
    parts = [tf.cast(pixels[..., each : each + 1], tf.int32) * weight for each, weight in enumerate(LUMA)]
    return tf.cast(tf.bitwise.right_shift(tf.add_n(parts) + 0x8000, 16), tf.uint8)
