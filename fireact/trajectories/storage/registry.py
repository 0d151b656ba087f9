"""The public files that are read, each with where it is published and what it must be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HUB = re.compile(r"hf://datasets/(.+)@(\w+)/(.+)")
_MMLU = "mmlu/data.tar"


@dataclass(frozen=True, slots=True)
class PublicFile:
    """A file that somebody published.

    Attributes:
        sha256: of its content, which is checked whenever it is read; None for an archive that is known by its members.
        url: where it is published; None where it comes out of an archive, or where only a mirror has it.
        size: in bytes, where known.
        hub: for a file of a data set on the Hugging Face hub, (data set, revision, path in it), used in place of url.
        archive: the name here of the archive that it is a member of, and its name there.
    """

    sha256: str | None
    url: str | None = None
    size: int | None = None
    hub: tuple[str, str, str] | None = None
    archive: tuple[str, str] | None = None


def _public_files() -> Iterator[tuple[str, PublicFile]]:
    """The rows of ``public_files.txt``, whose head says what they hold."""
    for line in _lines("public_files.txt"):
        name, sha256, size, source = (None if word == "-" else word for word in line.split())
        hub = _HUB.fullmatch(source or "")
        archive, _, member = (source or "").partition("#")
        yield str(name), PublicFile(
            sha256=sha256,
            url=None if hub or member else source,
            size=int(size) if size else None,
            hub=(hub[1], hub[2], hub[3]) if hub else None,
            archive=(archive, member) if member else None,
        )


def _mmlu() -> Iterator[tuple[str, PublicFile]]:
    """The members of MMLU's archive, from a list in the format of sha256sum."""
    for line in _lines("mmlu.sha256"):
        sha256, name = line.split()
        yield name, PublicFile(sha256, archive=(_MMLU, name.replace("mmlu/", "data/", 1)))


def _lines(name: str) -> list[str]:
    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


# By name: where a file lies below FIREACT_DATA and below the cache.
REGISTRY: dict[str, PublicFile] = {**dict(_public_files()), **dict(_mmlu())}
