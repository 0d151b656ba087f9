"""What lies in a zip or tar archive."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def unpacked(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The files of a zip or tar archive, by name."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as zipped:
            for name in zipped.namelist():
                with zipped.open(name) as content:
                    yield name, content
        return
    with tarfile.open(path) as tar:
        for member in tar:
            if (extracted := tar.extractfile(member)) is not None:
                yield member.name, extracted


def copy(content: IO[bytes], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        shutil.copyfileobj(content, out)
