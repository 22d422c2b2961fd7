"""Pillow's antialiased resize in a graph, to the bit.

TensorFlow's own antialiased resize differs from Pillow's by up to 11/255. Here its filter weights stand in two sparse
matrices, one a side, and its arithmetic is followed: weights of 22 bits behind the point, sums in int32, rounded to 8
bits after each side, columns first (Pillow's src/libImaging/Resample.c). A pixel of the result depends on few of the
image, so sparse products cost a small part of what plain ones do.
"""

from __future__ import annotations

import tensorflow as tf

BITS = 32 - 8 - 2  # of a weight behind the point, as Pillow has it
# Rows that are worked on at once: what is in memory as int32 is then no image of 50 million pixels.
STRIP = 64


def resize(pixels: tf.Tensor, box: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, filter: str) -> tf.Tensor:
    """What `zoo.preprocessing.image.resized` gives.

    Args:
        pixels: uint8 [Y, X, C].
        box: float64 [4], the part of the image that is resized: y0 x0 y1 x1 in continuous pixels.
        rows, columns: int32 [], of the result.
        filter: "bilinear" or "bicubic".

    Returns: uint8 [rows, columns, C].
    """
    box = tf.cast(box, tf.float32)  # as Pillow takes it
    shape = tf.shape(pixels)
    across = _weights(box[1], box[3], shape[1], columns, filter)
    down = _weights(box[0], box[2], shape[0], rows, filter)
    narrow = _columns(pixels, across)
    flat = tf.cast(tf.reshape(narrow, [shape[0], columns * shape[2]]), tf.int32)
    return tf.reshape(_product(down, flat), [rows, columns, shape[2]])


def _columns(pixels: tf.Tensor, weights: tf.SparseTensor) -> tf.Tensor:
    """The product along the second side: uint8 [Y, X, C] to uint8 [Y, columns, C], a strip of rows at a time."""
    strips = -(-tf.shape(pixels)[0] // STRIP)

    def one(number: tf.Tensor, done: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        strip = tf.transpose(pixels[number * STRIP : (number + 1) * STRIP], [1, 0, 2])
        shape = tf.shape(strip)
        flat = tf.cast(tf.reshape(strip, [shape[0], shape[1] * shape[2]]), tf.int32)
        narrow = tf.reshape(_product(weights, flat), [-1, shape[1], shape[2]])
        return number + 1, done.write(number, tf.transpose(narrow, [1, 0, 2]))

    array = tf.TensorArray(tf.uint8, strips, infer_shape=False, element_shape=[None, None, pixels.shape[2]])
    _, done = tf.while_loop(lambda number, _: number < strips, one, (0, array), parallel_iterations=1)
    return done.concat()


def _product(weights: tf.SparseTensor, values: tf.Tensor) -> tf.Tensor:
    """The product of weights int32 [n, m] with values of 8 bits, int32 [m, k], rounded: uint8 [n, k]."""
    sums = tf.sparse.sparse_dense_matmul(weights, values)
    return tf.cast(tf.clip_by_value(tf.bitwise.right_shift(sums + (1 << (BITS - 1)), BITS), 0, 255), tf.uint8)


def _weights(first: tf.Tensor, last: tf.Tensor, length: tf.Tensor, size: tf.Tensor, filter: str) -> tf.SparseTensor:
    """The weights of one side, int32 [size, length]: how much each pixel of an image is of each of the result.

    Args:
        first, last: float32 [], the part that is resized.
        length: int32 [], pixels of the image.
        size: int32 [], pixels of the result.
    """
    scale = tf.cast(last - first, tf.float64) / tf.cast(size, tf.float64)
    wide = tf.maximum(scale, 1.0)  # an enlarged image is not smoothed
    support = wide * (1.0 if filter == "bilinear" else 2.0)
    centres = tf.cast(first, tf.float64) + (tf.cast(tf.range(size), tf.float64) + 0.5) * scale
    starts = tf.maximum(tf.cast(tf.floor(centres - support + 0.5), tf.int32), 0)
    taps = starts[:, None] + tf.range(tf.cast(tf.math.ceil(support), tf.int32) * 2 + 1)
    heights = _height((tf.cast(taps, tf.float64) - centres[:, None] + 0.5) * (1.0 / wide), filter)
    heights = tf.where(taps < length, heights, tf.zeros_like(heights))
    shares = heights / tf.reduce_sum(heights, axis=1, keepdims=True)
    whole = tf.cast(tf.sign(shares) * tf.floor(tf.abs(shares) * (1 << BITS) + 0.5), tf.int32)
    rows = tf.broadcast_to(tf.range(size)[:, None], tf.shape(taps))
    places = tf.stack([rows, tf.minimum(taps, length - 1)], axis=-1)
    return tf.SparseTensor(
        tf.cast(tf.reshape(places, [-1, 2]), tf.int64),
        tf.reshape(whole, [-1]),
        tf.cast(tf.stack([size, length]), tf.int64),
    )


def _height(x: tf.Tensor, filter: str) -> tf.Tensor:
    """The filter at x: a triangle, or Keys' cubic with a = -0.5."""
    x = tf.abs(x)
    if filter == "bilinear":
        return tf.maximum(1.0 - x, 0.0)
    a = -0.5
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return tf.where(x < 1.0, near, tf.where(x < 2.0, far, tf.zeros_like(x)))
