"""What the driver says there is to compute on."""

from __future__ import annotations

import os
import subprocess

import pytest

from fireact.models import device
from fireact.models.device import Device

DRIVER = r"""
#include <string.h>
#include <stddef.h>
int cuInit(unsigned flags) { return BROKEN; }
int cuDeviceGetCount(int *count) { *count = CARDS; return 0; }
int cuDeviceGet(int *card, int ordinal) { *card = 7; return ordinal != 0; }
int cuDeviceGetName(char *name, int length, int card) { strncpy(name, card == 7 ? "A card" : "?", length); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int card) { *bytes = 85899345920; return card != 7; }
"""


@pytest.fixture
def driver(tmp_path):
    """Builds a driver of so many cards, with the C interface of CUDA's own."""

    def build(cards: int, broken: int = 0) -> str:
        source, library = tmp_path / "driver.c", tmp_path / f"libdriver{cards}{broken}.so"
        source.write_text(DRIVER)
        defined = [f"-DCARDS={cards}", f"-DBROKEN={broken}"]
        try:
            subprocess.run(["cc", "-shared", "-fPIC", *defined, str(source), "-o", str(library)], check=True)
        except FileNotFoundError:
            pytest.skip("there is no C compiler")
        return str(library)

    return build


def test_the_first_card_and_their_number_come_from_the_driver(driver):
    assert device._gpus(driver(4)) == Device("gpu", "A card", 80 * 2**30, 4)


def test_no_driver_no_card_and_a_broken_driver_are_no_gpu(driver, tmp_path):
    assert device._gpus(str(tmp_path / "nothing.so")) is None
    assert device._gpus(driver(0)) is None
    assert device._gpus(driver(2, broken=999)) is None


def test_without_a_gpu_it_is_the_cpu_with_the_machine_s_memory(monkeypatch):
    monkeypatch.setattr(device, "_gpus", lambda: None)
    found = device.found.__wrapped__()
    assert (found.kind, found.count) == ("cpu", 1)
    assert found.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
