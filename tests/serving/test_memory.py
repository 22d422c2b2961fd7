"""What the C library keeps of what was freed."""

import sys

import pytest

from tests.conftest import run_python

KEPT = """
import ctypes, re
from pathlib import Path
from zoo.serving import memory

def held() -> float:
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
{call}
before = held()
libc.free(libc.malloc(30 * 2**20))  # from now on glibc by itself calls nothing below this size large
bodies, pins = [], []
for _ in range(30):
    bodies.append(libc.malloc(8 * 2**20))
    ctypes.memset(bodies[-1], 1, 8 * 2**20)
    pins.append(libc.malloc(100 * 2**10))
for body in bodies:
    libc.free(body)
print(held() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_large_requests_leave_nothing_behind():
    grown = {call: float(run_python(KEPT.format(call=call))) for call in ("", "memory.give_back_large()")}
    if grown[""] < 100:
        pytest.skip("this C library gives large memory back by itself")
    assert grown["memory.give_back_large()"] < 16
