"""Tasks by their ids."""

from __future__ import annotations

import re

import pytest

from l96bench.data.splits import DATA_REGIMES
from l96bench.errors import UnknownIdError
from l96bench.regimes import other_regimes
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.registry import families, list_tasks, make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing
from l96bench.tasks.subgrid_forcing_memory import SubgridForcingMemory

ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*-v[1-9][0-9]*")


def test_every_family_has_a_task_for_every_regime_or_track() -> None:
    ids = [id for id in list_tasks() if re.split("[/]|-v[0-9]", id)[1] not in other_regimes()]
    assert len(ids) == len(set(ids)) == 3 * 6 + 2 + 6 + 6 + 2
    assert all(ID.fullmatch(id) for id in ids)
    every = {
        f"{family.family}/{id}-v{2 if family is OnlineRollout else 1}"
        for family in families().values()
        for id in family.regime_ids()
    }
    assert set(list_tasks()) == every
    for family in list(families().values())[:3]:
        assert family.regime_ids() == (*DATA_REGIMES, *other_regimes())
    assert list_tasks("da-increment") == ["da-increment/dense-v1", "da-increment/sparse-v1"]
    tracks = ("single", "two-scale", "hidden", "single-coarse", "two-scale-coarse", "hidden-coarse")
    assert list_tasks("equation-recovery") == [f"equation-recovery/{track}-v1" for track in tracks]


def test_an_id_makes_its_task_and_always_the_same_one() -> None:
    task = make_task("subgrid-forcing/arnold-c4-v1")
    assert type(task) is SubgridForcing
    assert task == SubgridForcing("arnold-c4")
    assert make_task("subgrid-forcing/arnold-c4-v1") is task
    assert type(make_task("subgrid-forcing-memory/arnold-c4-v1")) is SubgridForcingMemory
    assert type(make_task("online-rollout/wide-k36-v2")) is OnlineRollout


def test_one_familys_tasks_are_its_own() -> None:
    assert list_tasks("online-rollout") == [id for id in list_tasks() if id.startswith("online-rollout/")]
    assert len(list_tasks("subgrid-forcing")) == len(list_tasks("subgrid-forcing-memory")) == 6 + len(other_regimes())


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("subgrid-forcing/wilks-f21-v1", "subgrid-forcing/wilks-f20-v1"),
        ("subgrid-forcing/wilks-f20", "subgrid-forcing/wilks-f20-v1"),
        ("subgrid_forcing/wilks-f20-v1", "subgrid-forcing/wilks-f20-v1"),
        ("online-rollout/arnold-c4-v1", "online-rollout/arnold-c4-v2"),
        ("da-increment/dence-v1", "da-increment/dense-v1"),
        ("equation-recovery/single", "equation-recovery/single-v1"),
    ],
)
def test_an_unknown_id_names_the_nearest(asked: str, meant: str) -> None:
    with pytest.raises(UnknownIdError, match=re.escape(f"no task {asked!r}. Did you mean ")) as caught:
        make_task(asked)
    assert repr(meant) in str(caught.value)
    assert isinstance(caught.value, KeyError)


def test_an_unknown_family_names_the_nearest() -> None:
    with pytest.raises(UnknownIdError, match=r"no family 'online'\. Did you mean 'online-rollout'"):
        list_tasks("online")
    with pytest.raises(UnknownIdError, match="Known: da-increment, equation-recovery, observed-closure, online"):
        list_tasks("zzz")
