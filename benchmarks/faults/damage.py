"""Finished runs of which one file is damaged, and what the same command makes of them.

    python benchmarks/faults/damage.py [SCRIPT …]

Each file that a finished command left, its caches included, is emptied, cut to half, has a bit turned in its middle, is
filled with other bytes, and is removed; then the command runs again. It must mend the file, name the fault in a
sentence, or leave alone what nothing reads, which is listed; never end with a trace.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.faults.tiny import Runs, prepared  # noqa: E402


def _turned(whole: bytes) -> bytes:
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :] if whole else b"\0"


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "emptied": lambda whole: b"",
    "cut to half": lambda whole: whole[: len(whole) // 2],
    "a bit turned": _turned,
    "other bytes": lambda whole: b"\xff{\n" * 7,
    "removed": lambda whole: None,
}


def tried(runs: Runs) -> tuple[Counter[str], dict[str, set[str]]]:
    """Damage each file in each way; counts by what happened, and the files that were left as they were, by damage."""
    counts, left = Counter[str](), defaultdict[str, set[str]](set)
    whole = runs.untouched()[0]
    kept = runs.written.with_name("kept")
    shutil.copytree(runs.written, kept, symlinks=True)
    files = [path for path in sorted(kept.rglob("*")) if path.is_file() and not path.is_symlink() and _matters(path)]
    for file in files:
        name = file.relative_to(kept)
        for damage, change in DAMAGES.items():
            content = change(file.read_bytes())
            if content == file.read_bytes():
                continue
            shutil.rmtree(runs.written)
            shutil.copytree(kept, runs.written, symlinks=True)
            (runs.written / name).unlink()
            if content is not None:
                (runs.written / name).write_bytes(content)
            process = runs.start()
            said = process.communicate(timeout=600)[1].decode("utf-8", "replace")
            now = (runs.written / name).read_bytes() if (runs.written / name).is_file() else None
            if "Traceback" in said or process.returncode not in (0, 1):
                counts["trace"] += 1
                print(f"  {name} {damage}: exit code {process.returncode}\n{said[-1500:]}", flush=True)
            elif process.returncode == 1:
                counts["named"] += 1
            elif now == content:
                counts["left as it was"] += 1
                left[_kind(name)].add(damage)
            else:
                counts["mended"] += 1
                if process.returncode == 0 and (again := runs.content()) != whole:
                    lost = sorted(key for key in whole.keys() | again.keys() if whole.get(key) != again.get(key))
                    counts["mended into something else"] += 1
                    print(f"  {name} {damage}: differs in {lost}", flush=True)
    shutil.rmtree(kept)
    return counts, left


def _matters(path: Path) -> bool:
    return path.suffix != ".lock" and path.name != ".lock"


def _kind(name: Path) -> str:
    return "/".join(name.parts[-2:]) if len(name.parts) > 2 else str(name)


def main(scripts: list[str]) -> int:
    bad = 0
    with prepared() as (_, commands):
        for script, runs in commands.items():
            if not scripts or script in scripts:
                counts, left = tried(runs)
                bad += counts["trace"] + counts["mended into something else"]
                print(f"{script}: {', '.join(f'{n} {name}' for name, n in counts.items())}")
                for name, damages in sorted(left.items()):
                    print(f"  left as it was: {name}: {', '.join(sorted(damages))}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
