"""The measurements behind `zoo bench`; each side of a comparison runs in a process of its own."""
