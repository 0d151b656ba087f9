"""The properties of ``tests/properties.py`` on inputs that a fuzzer finds, guided by which branches they reach.

    python benchmarks/faults/fuzz.py [TARGET …] [--inputs N]       all targets, as many inputs each as INPUTS says

An input that takes longer than a second ends the target, as does any exception that is not a refusal. Says for each how
many inputs were tried, how many were accepted, and how many a second. Needs atheris: pip install atheris
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

try:
    import atheris
except ImportError:
    sys.exit("the fuzzer is not installed; pip install atheris")

INPUTS = {"turn": 700_000, "row": 500_000, "file": 200_000, "learnt": 60_000, "written": 60_000, "given": 300_000,
          "shown": 100_000, "number": 300_000}  # fmt: skip


# Where the fuzzer starts from: bytes that it could hardly find.
SEEDS = {
    "file": [
        b'{"instruction": "Who?", "output": "Action: finish[B]\\nObservation: Episode finished, reward = True"}',
        b'[{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Action: finish[B]"}, '
        b'{"role": "user", "content": "Observation: Episode finished, reward = 1"}]}]',
    ],
    "number": [b'{"a": [1.5e3, null, true, "\\ud83d\\udd25"]}', b'"\xf0\x9f\x94\xa5"'],
}  # fmt: skip


class Maker:
    """Makes texts and values of a fuzzer's bytes, from pieces that come near to what is read."""

    def __init__(self, raw: bytes) -> None:
        from tests import properties

        self._data, self._texts, self._keys = atheris.FuzzedDataProvider(raw), properties.TEXTS, properties.KEYS

    def text(self) -> str:
        """A few of the pieces, and some characters of any kind."""
        pieces = []
        for _ in range(self._data.ConsumeIntInRange(0, 7)):
            at = self._data.ConsumeIntInRange(0, 2 * len(self._texts))
            pieces.append(self._texts[at] if at < len(self._texts) else self._data.ConsumeUnicode(at % 6))
        return "".join(pieces)

    def value(self, depth: int = 0) -> Any:
        """A JSON value."""
        kind = self._data.ConsumeIntInRange(0, 8 if depth < 5 else 6)
        if kind < 3:
            return self.text()
        if kind < 7:
            return (None, self._data.ConsumeBool(), self._data.ConsumeInt(5), self._data.ConsumeFloat())[kind - 3]
        size = self._data.ConsumeIntInRange(0, 9 if depth == 0 else 4)
        if kind == 7:
            return [self.value(depth + 1) for _ in range(size)]
        return {self._data.PickValueInList(list(self._keys)): self.value(depth + 1) for _ in range(size)}

    def row(self) -> Any:
        """A row of one of the known forms, of which a part may be anything; or anything."""
        form = self._data.ConsumeIntInRange(0, 3)
        if form == 0:
            return self.value()
        if form == 1:
            count = self._data.ConsumeIntInRange(0, 6)
            roles = ("user", "assistant") * 3
            row: dict[str, Any] = {"messages": [{"role": roles[n], "content": self.text()} for n in range(count)]}
        elif form == 2:
            row = {"instruction": self.text(), "output": self.text()}
        else:
            question = {key: self.text() for key in ("id", "text", "answer", "task", "split")}
            actions = ["search", "finish", "", "lookup"]
            steps = [
                {"thought": self.text(), "action": self._data.PickValueInList(actions), "argument": self.text(),
                 "observation": None if self._data.ConsumeBool() else self.text()}
                for _ in range(self._data.ConsumeIntInRange(0, 4))
            ]
            row = {"question": question, "method": "react", "steps": steps, "ending": "finish",
                   "answer": self.text(), "score": {"em": 1, "f1": 1, "correct": self._data.ConsumeBool()}}
        if self._data.ConsumeBool():
            row[self._data.PickValueInList(list(self._keys))] = self.value(1)
        return row

    def whole(self) -> str:
        """A text as texts are once they are read, and no mark of Hydra's for a missing value."""
        from fireact.trajectories.storage.reading import joined

        text = joined(self.text())
        return text if text != "???" else ""

    def dialogue(self) -> Any:
        """A dialogue of up to four turns."""
        from fireact.trajectories.dialogue import Dialogue, Turn

        turns = [
            Turn(self.whole(), None if self._data.ConsumeBool() else self.whole())
            for _ in range(self._data.ConsumeIntInRange(0, 4))
        ]
        return Dialogue(self.whole(), self.whole(), tuple(turns))


def target(name: str, folder: Path) -> Callable[[bytes], bool]:
    """What is done with a fuzzer's bytes; tells whether the input was accepted."""
    with atheris.instrument_imports(include=["fireact"]):
        from fireact.formats.plain import plain_format
        from tests import properties

    if name == "learnt":
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(ROOT / ".cache" / "backbones" / "smollm2_135m")
        form = plain_format("alpaca", tokenizer, "none")
        return lambda raw: properties.learnt(form, Maker(raw).dialogue())
    made: dict[str, Callable[[bytes], bool]] = {
        "turn": lambda raw: properties.turn(Maker(raw).text()),
        "row": lambda raw: properties.row(Maker(raw).row()),
        "file": lambda raw: properties.file(raw, folder / ("a.json" if len(raw) % 2 else "a.jsonl")),
        "written": lambda raw: properties.written(Maker(raw).whole()),
        "given": lambda raw: properties.given(Maker(raw).text()),
        "shown": lambda raw: properties.shown(Maker(raw).text()),
        "number": properties.number,
    }
    return made[name]


def fuzz(name: str, inputs: int) -> None:
    """Fuzz one target in this process, which ends with it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        check, accepted, tried, started = target(name, Path(folder)), 0, 0, time.monotonic()

        def once(raw: bytes) -> None:
            nonlocal accepted, tried
            accepted += check(raw)
            tried += 1
            if tried == inputs:
                speed = inputs / (time.monotonic() - started)
                print(f"{name}: {inputs} inputs, {accepted} accepted, {speed:.0f}/s", flush=True)

        seeds = Path(folder, "seeds")
        seeds.mkdir()
        for number, seed in enumerate(SEEDS.get(name, ())):
            (seeds / str(number)).write_bytes(seed)
        flags = [f"-runs={inputs}", "-timeout=1", "-max_len=400", "-verbosity=0"]
        atheris.Setup([sys.argv[0], *flags, str(seeds)], once)
        atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="*", default=list(INPUTS))
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        fuzz(asked.targets[0], asked.inputs)
    broken = 0
    for name in asked.targets:
        command = [sys.executable, __file__, name, "--one", "--inputs", str(asked.inputs or INPUTS[name])]
        with tempfile.TemporaryDirectory() as folder:  # where a failing input is left
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        print(done.stdout, end="", flush=True)
        if done.returncode or not done.stdout:
            broken += 1
            print(done.stderr[-4000:], file=sys.stderr)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
