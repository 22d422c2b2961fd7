"""What the paths of variables tell: which stand in a block, which above all of them."""

import re

BLOCK = re.compile(r"/block_(\d+)/")
ABOVE = re.compile(r"/(head|pooler)/")  # what reads the blocks
