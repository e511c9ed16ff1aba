"""What a run of the simulator counts, and that it falls short where a part was not played."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.simulator import theatre
from tests.simulator.floors import CHUNKS, shortfalls
from tests.simulator.menu import AWS_SWITCHES, SWITCHES, Beginning, beginnings
from tests.simulator.tally import Tally
from tests.simulator.theatre import Theatre

OURS = {f"{name}={value}" for name, values in SWITCHES.items() for value in values}
AWS = {f"aws {name}={value}" for name, values in AWS_SWITCHES.items() for value in values}
FEW = settings(
    max_examples=30,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(
    ("flavour", "lacking"), [("huggingface", AWS), ("sagemaker", OURS), ("both", set())]
)
def test_a_switch_is_played_only_where_its_cloud_is(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    flavour: str,
    lacking: set[str],
) -> None:
    counted = Tally()
    counted.add("chunks", "played", CHUNKS)
    monkeypatch.setattr(theatre, "TALLY", counted)

    @FEW
    @given(drawn=beginnings())
    def open_some(drawn: Beginning) -> None:
        playing.open(flavour, drawn)

    with Theatre(tmp_path_factory.mktemp(flavour)) as playing:
        open_some()
    short = {text.removeprefix("switches: ") for text in shortfalls(counted)}
    assert short & (OURS | AWS) == lacking
