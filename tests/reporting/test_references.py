from __future__ import annotations

from dataclasses import dataclass

from fireact.reporting.experiments import fits, reference_of


@dataclass(frozen=True)
class Placed:
    axes: dict[str, str]


def test_a_pattern_is_a_value_anything_or_all_but_one():
    quiet = {"search": "not noise*"}
    assert fits({"search": "bm25"}, quiet) and not fits({"search": "noise_none"}, quiet)
    assert fits({}, {"adapter": "*"}) and fits({}, {"optim.max_steps": "null"}) and not fits({}, {"method": "react"})


def test_the_reference_differs_only_in_the_named_axes_and_in_those_it_has_not():
    rows = [
        Placed({"backbone": "a", "acting": "react", "adapter": "none"}),
        Placed({"backbone": "b", "acting": "react", "adapter": "none"}),
        Placed({"backbone": "b", "acting": "fireact", "adapter": "lora", "method": "react"}),
    ]
    prompted = {"acting": "react", "adapter": "none"}
    assert [reference_of(row.axes, rows, prompted) for row in rows] == [rows[0], rows[1], rows[1]]
    assert reference_of(rows[0].axes, rows, {"acting": "fireact", "adapter": "*"}) is None
