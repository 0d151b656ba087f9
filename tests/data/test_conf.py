"""Every data and size option of the real configuration makes a mix."""

from __future__ import annotations

from pathlib import Path

import hydra
import pytest

from fireact.app import CONF, compose
from fireact.data.mix import Mix, Source


def mix(*overrides: str) -> Mix:
    made = hydra.utils.instantiate(compose("train", overrides).data)
    assert isinstance(made, Mix) and all(isinstance(source, Source) for source in made.sources)
    return made


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "data").glob("*.yaml")))
def test_every_data_option_is_a_mix(name: str) -> None:
    extra = ["data.path=t.jsonl"] if name == "file" else []
    made = mix(f"data={name}", "size=n100", "seed=3", *extra)
    assert made.methods == ("react",) and made.size == 100 and made.seed == 3 and made.counts == {}
    assert made.sources


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "size").glob("*.yaml")))
def test_every_size_says_its_number(name: str) -> None:
    assert mix(f"size={name}").size == (None if name == "all" else int(name.removeprefix("n")))


def test_the_embedded_mix_collects_what_its_methods_need(tmp_path: Path) -> None:
    made = mix("data=miniwiki", "method=react_cot", f"cache_dir={tmp_path}", "data.counts.cot=50")
    assert made.counts == {"cot": 50}
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
