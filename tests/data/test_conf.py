"""Every data and size option of the real configuration makes a mix."""

from __future__ import annotations

from pathlib import Path

import hydra
import pytest

from fireact.app import compose
from fireact.app.keys import CONF
from fireact.data.mix import Mix, Source

# The embedded mixes keep the paper's proportions of 500 : 187 : 47.
COUNTS = {
    "miniwiki": {"cot": 449, "reflexion": 113, "io": 449},
    "miniwiki_mixed": {"cot": 1347, "reflexion": 339, "io": 1347},
}


def mix(*overrides: str) -> Mix:
    made = hydra.utils.instantiate(compose("train", overrides).data)
    assert isinstance(made, Mix) and all(isinstance(source, Source) for source in made.sources)
    return made


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "data").glob("*.yaml")))
def test_every_data_option_is_a_mix(name: str) -> None:
    extra = ["data.path=t.jsonl"] if name == "file" else []
    made = mix(f"data={name}", "size=n100", "seed=3", *extra)
    assert made.methods == ("react",) and made.size == 100 and made.seed == 3
    assert made.counts == COUNTS.get(name, {})
    assert made.sources


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "size").glob("*.yaml")))
def test_every_size_says_its_number(name: str) -> None:
    sizes = {"all": None, "grid": 100}
    assert mix(f"size={name}").size == (sizes[name] if name in sizes else int(name.removeprefix("n")))


def test_the_embedded_mix_collects_what_its_methods_need(tmp_path: Path) -> None:
    made = mix("data=miniwiki", "method=react_cot", f"cache_dir={tmp_path}", "data.counts.cot=50")
    assert made.counts == {**COUNTS["miniwiki"], "cot": 50}
    folder = f"{tmp_path}/trajectories/miniwiki"
    assert [str(source.path) for source in made.missing()] == [
        f"{folder}/react/trajectories.jsonl",
        f"{folder}/cot/trajectories.jsonl",
    ]
    assert f"run_dir={folder}/react" in made.missing()[0].generate


def test_the_papers_mix(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREACT_DATA", str(real_data))
    assert len(mix("data=mixed").load()) == 1344
    assert len(mix("data=mixed", "method=react_cot_reflexion").load()) == 2014
    assert len(mix("data=mixed", "method=react_cot_reflexion", "data.right_only=false").load()) == 2063
