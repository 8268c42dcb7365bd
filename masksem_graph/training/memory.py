"""What the C library does with memory that tensors give back."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names and numbers of glibc's malloc.h
GLIBC_MMAP_MAX, GLIBC_TRIM_MAX = 32 << 20, 64 << 20  # bytes; where its own growing thresholds end on 64 bits
KEEP = (1 << 31) - 1


def keep_freed_memory(keep: bool = True) -> None:
    """Keep the memory of freed CPU tensors for the next ones, where the C library is glibc.

    By itself it hands every block above 32 MiB back to the system, and all free memory at its top: a training step then takes
    the same pages again one fault at a time, and the system clears each of them first. The price: the process stays as large
    as it once was.

    Args:
        keep: False for glibc's usual ways.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library, musl for one
        return
    mallopt(M_MMAP_THRESHOLD, 1 << 30 if keep else GLIBC_MMAP_MAX)
    mallopt(M_TRIM_THRESHOLD, KEEP if keep else GLIBC_TRIM_MAX)
