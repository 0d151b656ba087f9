"""What there is to compute on, asked of the driver itself: importing torch to find out would take seconds."""

from __future__ import annotations

import ctypes
import functools
import os
from dataclasses import dataclass

CPU, GPU = "cpu", "gpu"
_DRIVER = "libcuda.so.1"
_LONGEST_NAME = 256


@dataclass(frozen=True)
class Device:
    """Where a run computes: ``count`` devices of one ``kind``, cpu or gpu, with ``memory_bytes`` each."""

    kind: str
    name: str
    memory_bytes: int
    count: int = 1


@functools.cache
def found() -> Device:
    """The CUDA GPUs that CUDA_VISIBLE_DEVICES leaves visible, as the first of them is; the CPU where there are none."""
    return _gpus() or Device(CPU, "CPU", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _gpus(driver: str = _DRIVER) -> Device | None:
    """What the CUDA driver sees; None without a driver or a card. No card's memory is touched by asking."""
    try:
        cuda = ctypes.CDLL(driver)
    except OSError:
        return None
    count, card = ctypes.c_int(0), ctypes.c_int(0)
    name, memory = ctypes.create_string_buffer(_LONGEST_NAME), ctypes.c_size_t(0)
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return None
    if cuda.cuDeviceGet(ctypes.byref(card), 0) or cuda.cuDeviceGetName(name, _LONGEST_NAME, card):
        return None
    if cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), card):
        return None
    return Device(GPU, name.value.decode(errors="replace"), memory.value, count.value)
