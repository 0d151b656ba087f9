"""Shards of a Wikipedia dump, in an archive or a folder, written out as one corpus; an interruption loses no shard."""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fireact.errors import DataError
from fireact.tools.mapped import line_of
from fireact.trajectories.records import Document
from fireact.trajectories.storage.reading import joined
from fireact.trajectories.storage.watching import Watch

_PATTERN = "**/*.bz2"


class Shard(NamedTuple):
    """One compressed file of JSON lines; ``until`` is how many bytes of the whole are read with it."""

    name: str
    content: bytes
    until: int


class Archive:
    """A tar.bz2 of shards, read from its beginning without unpacking it."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, path.stat().st_size

    def since(self, first: int) -> Iterator[Shard]:
        """The shards from number ``first`` on; those before are skipped, in the time that it takes to decompress them.

        Raises:
            DataError: the archive is damaged or breaks off.
        """
        number = 0
        try:
            with self.path.open("rb") as raw, tarfile.open(fileobj=bz2.open(raw), mode="r|", bufsize=2**20) as tar:
                for member in tar:
                    if not (member.isfile() and member.name.endswith(".bz2")):
                        continue
                    number += 1
                    if number > first and (file := tar.extractfile(member)) is not None:
                        yield Shard(member.name, file.read(), raw.tell())
        except (EOFError, OSError, tarfile.TarError) as error:
            raise DataError(f"{self.path} is damaged after shard {number} ({error}); download it again") from None


class Folder:
    """A folder that holds shards, at any depth, in the order of their paths."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = [(file, file.stat()) for file in sorted(path.glob(_PATTERN))]
        self.size = sum(stat.st_size for _, stat in self._files)

    def check(self) -> None:
        """Read the beginning of the first shard.

        Raises:
            DataError: there is none, or it is no bz2 file.
        """
        if not self._files:
            raise DataError(f"{self.path} holds no shards ({_PATTERN}); name the folder of the extracted archive")
        first, _ = self._files[0]
        try:
            with bz2.open(first) as content:
                content.read(1)
        except (EOFError, OSError) as error:
            raise DataError(f"{first} is damaged ({error}); extract the archive again") from None

    def stamp(self) -> str:
        """A digest of names, sizes and times: another one wherever the content is another."""
        rows = [(str(file.relative_to(self.path)), stat.st_size, stat.st_mtime_ns) for file, stat in self._files]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def since(self, first: int) -> Iterator[Shard]:
        """The shards from number ``first`` on."""
        until = sum(stat.st_size for _, stat in self._files[:first])
        for file, stat in self._files[first:]:
            until += stat.st_size
            yield Shard(str(file.relative_to(self.path)), file.read_bytes(), until)


def write_corpus(shards: Archive | Folder, corpus: Path) -> None:
    """Write the documents of all shards to ``corpus``, a JSONL file of title and text, or go on with it.

    What is finished stands beside it: after every shard, how many there are and how long the corpus is then.

    Raises:
        DataError: a shard is damaged or a line of it malformed, or there is no shard; the message names it.
    """
    state = corpus.with_suffix(".done")
    done, length, whole = json.loads(state.read_text("utf-8")) if state.exists() else (0, 0, False)
    if whole:
        return
    replaced: Counter[str] = Counter()
    with corpus.open("ab") as out, Watch(f"reading {shards.path}", shards.size) as watch:
        done, length = (done, length) if out.tell() >= length else (0, 0)  # a crash of the machine may lose bytes
        out.truncate(length)
        for shard in shards.since(done):
            out.writelines(_lines(shard, shards.path, replaced))
            out.flush()
            done += 1
            _note(state, [done, out.seek(0, os.SEEK_END), False])
            watch(shard.until)
        if not done:
            raise DataError(f"{shards.path} holds no shards, bz2 files as AA/wiki_00.bz2; name the archive of "
                            "HotpotQA's Wikipedia, or the folder that it was extracted to")
        _note(state, [done, out.tell(), True])
    if replaced:
        print(f"{shards.path}: halves of characters replaced by \ufffd: {replaced.total()}", flush=True)


def _note(state: Path, value: list[Any]) -> None:
    """Not synced, which would take longer than to read a shard: what a crash of the machine loses is read again."""
    partial = state.with_suffix(".partial")
    partial.write_text(json.dumps(value), "utf-8")
    partial.replace(state)


def _lines(shard: Shard, source: Path, replaced: Counter[str]) -> Iterator[bytes]:
    """The documents of one shard, a line of JSON each; ``replaced`` counts halves of characters."""
    try:
        rows = bz2.decompress(shard.content).splitlines()
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{source}, shard {shard.name}: it is damaged ({error}); download it again") from None
    for number, line in enumerate(rows, start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        match row:
            case {"title": str(title), "text": [*sentences]} if all(isinstance(one, str) for one in sentences):
                text = " ".join(" ".join(sentences).split())
            case _:
                raise DataError(f'{source}, shard {shard.name}, line {number}: expected a JSON object like '
                                '{"title": "…", "text": ["…"]}; download it again')
        yield line_of(Document(joined(title, replaced), joined(text, replaced)))
