"""The licences of all that is pinned, as the packages themselves name them: the table of docs/supply.md.

    python benchmarks/licences.py       writes the table there; run it after a pin was changed
"""

from __future__ import annotations

import re
from importlib.metadata import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "supply.md"
LOCKS = ("requirements.lock", "requirements-torch.lock", "requirements-backbone.lock")
HEAD = "| package | version | licence |\n|---|---|---|\n"


def pins() -> list[tuple[str, str]]:
    """(name, version) of every pinned package, by name."""
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in LOCKS)
    return sorted(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE), key=lambda pin: pin[0].lower())


def licence(name: str) -> str:
    """What an installed package says of its licence."""
    about = metadata(name)
    classes = [text.split(" :: ")[-1] for text in about.get_all("Classifier", []) if text.startswith("License ::")]
    said = about.get("License-Expression") or "; ".join(classes) or str(about.get("License", "")).split("\n")[0]
    return re.sub(r"Apache Software License|Apache 2.0 License", "Apache-2.0", said).replace(" License", "")


def main() -> None:
    before = PAGE.read_text(encoding="utf-8").split(HEAD)[0]
    rows = "".join(f"| {name} | {version} | {licence(name)} |\n" for name, version in pins())
    PAGE.write_text(before + HEAD + rows, encoding="utf-8")


if __name__ == "__main__":
    main()
