"""What the paths of variables tell: which stand in a block, which above all of them."""

import re

BLOCK = re.compile(r"/block_(\d+)/")
CLOSING = re.compile(r"/encoder/norm/")  # of a pre-norm encoder: reads the last block
ABOVE = re.compile(r"/(head|pooler)/")  # what reads the blocks
