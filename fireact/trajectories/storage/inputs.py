"""The files that a user names, whether by folder, pattern or one by one, and what is in them, packed or not."""

from __future__ import annotations

import glob
import gzip
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fireact.errors import DataError
from fireact.trajectories.storage import reading

KINDS = (".jsonl", ".ndjson", ".json", ".parquet")
LARGEST = 2**30  # bytes that a packed file may unpack to: a few MiB may stand for as many GiB
_MAGIC = b"\x1f\x8b"
_PIECE = 2**20  # bytes that are unpacked at once
_ROWS = 1000  # rows of a Parquet file that are held at once
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def named(names: Iterable[str | Path]) -> list[Path]:
    """The files that ``names`` stand for, each once: files, folders (all files of ``KINDS`` below them) and patterns.

    Names keep their order; what a folder or a pattern stands for is sorted by path. A file that is missing is named all
    the same, for who reads it says so. Hidden files and folders are passed over.

    Raises:
        DataError: a folder holds no such file, a pattern matches none, or a name is an address.
    """
    found = dict[Path, Path]()
    for name in names:
        for path in _named(str(name)):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def kind(path: Path) -> str:
    """Its suffix in lower case, that of what is packed where it ends in ``.gz``."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, with their numbers from 1; raises OSError.

    Raises:
        DataError: it is packed, and damaged, cut off or larger than ``LARGEST`` bytes.
    """
    if not _is_packed(path):
        yield from reading.lines(path)
        return
    with _unpacked(path) as file:
        left = LARGEST
        for number in itertools.count(1):
            line = file.readline(left + 1)
            left -= len(line)
            _check_size(path, left)
            if not line:
                return
            if line.strip():
                yield number, line


def content(path: Path) -> bytes:
    """All of a file; raises OSError.

    Raises:
        DataError: see ``lines``.
    """
    if not _is_packed(path):
        return path.read_bytes()
    with _unpacked(path) as file:
        pieces, left = list[bytes](), LARGEST
        while piece := file.read(_PIECE):
            pieces.append(piece)
            left -= len(piece)
            _check_size(path, left)
    return b"".join(pieces)


def parquet(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, without fields that are null: its columns give each object the keys of all.

    Raises:
        DataError: it is none.
    """
    import polars as pl  # takes a while, and most files are of another kind

    path.open("rb").close()  # what the system says of a file that can't be read
    try:
        frame = pl.scan_parquet(path, glob=False)
        size = frame.select(pl.len()).collect().item()
        for start in range(0, size, _ROWS):
            yield from map(_without_nulls, frame.slice(start, _ROWS).collect().to_dicts())
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise DataError(f"{path} is no whole Parquet file ({reason}); fetch or write it again") from None


def _named(name: str) -> list[Path]:
    if _ADDRESS.match(name):
        raise DataError(f"{name} is an address, and rows are read from files; fetch it first (a data set of the hub "
                        "by: hf download OWNER/NAME --repo-type dataset --local-dir FOLDER), and name the folder")
    path = Path(name)
    if path.is_dir():
        found = [each for each in path.rglob("*") if _is_of_rows(each.relative_to(path)) and each.is_file()]
        if not found:
            raise DataError(f"the folder {path} holds no file of rows ({', '.join(KINDS)}, or one of these with .gz); "
                            "name another folder, or a file")
        return sorted(found)
    if not glob.has_magic(name) or path.exists():
        return [path]
    found = [match for match in map(Path, glob.iglob(name, recursive=True)) if match.is_file()]
    if not found:
        raise DataError(f"no file matches {name}; check the folder and the pattern")
    return sorted(found)


def _is_of_rows(path: Path) -> bool:
    return kind(path) in KINDS and not any(part.startswith(".") for part in path.parts)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        packed = file.read(2) == _MAGIC
    if path.suffix.lower() == ".gz" and not packed:
        raise DataError(f"{path} is not packed by gzip; name it without .gz, or fetch it again")
    return packed


@contextmanager
def _unpacked(path: Path) -> Iterator[gzip.GzipFile]:
    try:
        with gzip.open(path) as file:
            yield file
    except EOFError:
        raise DataError(f"{path} is cut off, its gzip data does not end; fetch or write it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file ({error}); fetch or write it again") from None


def _check_size(path: Path, left: int) -> None:
    if left < 0:
        raise DataError(f"{path} unpacks to more than {LARGEST} bytes, as no file of rows should; unpack it yourself "
                        "and name what comes out, if that is right")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
