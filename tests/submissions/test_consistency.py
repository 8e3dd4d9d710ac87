"""Rows whose numbers cannot be so are found without running anything; every committed row can be so."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l96bench.cli import main
from l96bench.errors import ResultError
from l96bench.results.record import Result
from l96bench.submissions.comparison import CONSISTENT, DIFFERENT
from l96bench.submissions.consistency import out_of_line, row_faults
from l96bench.submissions.verify import rows_of, verify_rows
from l96bench.tasks.closure_task import LITERATURE
from l96bench.tasks.registry import list_tasks, make_task

BOARD = Path(__file__).parents[2] / "leaderboard"
ROWS = {
    "offline": "subgrid-forcing/wilks-f20/fitted-quartic",
    "offline, five seeds": "subgrid-forcing/wilks-f20/stencil-network",
    "memory": "subgrid-forcing-memory/wilks-f20/memory-polynomial",
    "online": "online-rollout/wilks-f20/fitted-quartic",
    "online, five seeds": "online-rollout/wilks-f20/stencil-network",
    "assimilation": "da-increment/dense/linear-increment",
    "recovery": "equation-recovery/single/sindy-stlsq",
    "submission": "subgrid-forcing/wilks-f20/stencil-network-seed-0",
}
Fields = dict[str, Any]


def path_of(name: str) -> Path:
    """The file of one of `ROWS` in the newest version of its task."""
    family, regime, slug = ROWS[name].split("/")
    [task] = [id for id in list_tasks(family) if id.rpartition("-v")[0] == f"{family}/{regime}"]
    return BOARD / "results" / task / f"{slug}.json"


@functools.cache
def row_of(name: str) -> Result:
    return Result.read(path_of(name))


def faults_of(name: str, change: Callable[[Fields], Any]) -> list[str]:
    """What is found in one of `ROWS` after a change to its fields, in the company of the committed rows of its task."""
    honest = row_of(name)
    fields = json.loads(honest.to_json())
    change(fields)
    row, task = Result.model_validate(fields), make_task(honest.task)
    others = [Result.read(path) for path in sorted((BOARD / "results" / row.task).glob("*.json"))]
    beside = [each for each in others if each.slug != row.slug]
    return row_faults(row, task) + out_of_line([*beside, row], task).get(row.slug, [])


@pytest.mark.parametrize("name", ROWS)
def test_honest_rows_can_be_so(name: str) -> None:
    assert faults_of(name, lambda fields: None) == []


def test_rows_of_a_submission_are_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BOARD.parent)
    for name in ("stencil network, seed 0", "stencil-network-seed-0", "leaderboard/submissions/stencil-network-seed-0"):
        assert path_of("submission") in [each.resolve() for each in rows_of(name, BOARD)]


def raised(fields: Fields) -> None:
    """The score and that of every seed set to 99.5."""
    score = fields["score"]
    score |= {"value": 99.5, "seeds": [each | {"value": 99.5} for each in score["seeds"]]}


def moved(fields: Fields, by: float = 3.0) -> None:
    """The score, its seeds, its interval and its replicates moved together."""
    score = fields["score"]
    for key in ("value", "low", "high"):
        score[key] += by
    score["replicates"] = [each + by for each in score["replicates"]]
    score["seeds"] = [each | {"value": each["value"] + by} for each in score["seeds"]]


def shift_metric(fields: Fields, key: str, by: float) -> None:
    fields["metrics"][key] |= {end: value + by for end, value in fields["metrics"][key].items() if value is not None}


def with_its_metrics(fields: Fields) -> None:
    """The score moved, and the metrics that it follows from with it; what they follow from is left as it was."""
    moved(fields)
    for key in fields["metrics"]:
        if key == "r2" or key in ("forecast_part", "climate_part"):
            shift_metric(fields, key, 0.03)
        elif key.startswith(("score_noise", "score_budget")):
            shift_metric(fields, key, 3.0)


FAMILIES = [name for name in ROWS if name != "submission"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_raised_score_is_found(name: str) -> None:
    faults = faults_of(name, raised)
    assert any("outside of its own interval" in each for each in faults)
    assert any("does not follow" in each or "as all rows" in each for each in faults)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_score_moved_with_its_interval_and_replicates_is_found(name: str) -> None:
    faults = faults_of(name, moved)
    assert any("does not follow" in each or "as all rows" in each for each in faults)


@pytest.mark.parametrize("name", [each for each in FAMILIES if each != "recovery"])
def test_a_score_moved_with_the_metrics_that_it_follows_from_is_found(name: str) -> None:
    assert any("as all rows of" in each for each in faults_of(name, with_its_metrics))


def set_in(*keys: str | int, to: Any) -> Callable[[Fields], None]:
    def change(fields: Fields) -> None:
        for key in keys[:-1]:
            fields = fields[key]  # type: ignore[index]
        fields[keys[-1]] = to(fields[keys[-1]]) if callable(to) else to  # type: ignore[index]

    return change


def narrowed(fields: Fields) -> None:
    score = fields["score"]
    score |= {"low": score["value"] - 0.001, "high": score["value"] + 0.001}


def dropped(key: str) -> Callable[[Fields], None]:
    return lambda fields: fields["metrics"].pop(key) and None


FORGED: dict[str, tuple[str, Callable[[Fields], Any], str]] = {
    "no test of restarts": ("online", dropped("restart"), "restart missing"),
    "no distance from training": ("online", dropped("training_distance"), "training_distance missing"),
    "other members": ("online", set_in("metrics", "members", "value", to=7.0), "members: expected 1 or 20, got 7"),
    "a shorter curve": ("online", set_in("series", "crps_by_lead", to=lambda all: all[:3]), "leads in every curve"),
    "a better curve": (
        "online",
        set_in("series", "rmse_by_lead", to=lambda all: [each / 2 for each in all]),
        "in the curve by lead",
    ),
    "a better F1": ("recovery", set_in("metrics", "f1", to={"value": 0.999}), "does not follow"),
    "a narrower interval": ("online", narrowed, "is not that of the replicates"),
    "a wider interval": ("offline", set_in("score", "high", to=100.0), "is not that of the replicates"),
    "more blocks": ("recovery", set_in("score", "blocks", to=200), "number of blocks"),
    "fewer replicates": ("offline", set_in("score", "replicates", to=lambda all: all[:100]), "number of replicates"),
    "another level": ("offline", set_in("score", "level", to=0.5), "level of the interval"),
    "replicates elsewhere": (
        "offline",
        set_in("score", "replicates", to=lambda all: [each + 5 for each in all]),
        "the replicates are around",
    ),
    "one seed's score": (
        "online, five seeds",
        set_in("score", "seeds", 0, "value", to=100.0),
        "is not the mean over its seeds",
    ),
    "a seed left out": ("online, five seeds", set_in("model", "seeds", to=[0, 1, 2, 3]), "seeds: expected each once"),
    "a seed twice": ("online, five seeds", set_in("model", "seeds", to=[0, 1, 2, 3, 3]), "seeds: expected each once"),
    "no scores of seeds": ("offline", set_in("score", "seeds", to=[]), "seeds: expected each once"),
    "other data": (
        "offline",
        set_in("data_digests", to=lambda all: all | {"wilks-f20/test/U": "0" * 64}),
        "not those of subgrid-forcing/wilks-f20",
    ),
    "data left out": (
        "offline",
        set_in("data_digests", to=lambda all: dict(list(all.items())[1:])),
        "not those of subgrid-forcing/wilks-f20",
    ),
    "another version": ("offline", set_in("task_version", to=77), "task version"),
    "another scorer": ("offline", set_in("scorer_version", to="0"), "scorer version"),
    "another split": ("offline", set_in("split", to="train"), "split"),
    "no digest of predictions": ("offline", set_in("predictions_digest", to="none"), "64 hexadecimal digits"),
    "a digest in capitals": ("offline", set_in("predictions_digest", to=str.upper), "64 hexadecimal digits"),
    "a story for a processor": ("offline", set_in("environment", "cpu", to="x" * 101), "environment"),
    "nothing was predicted": ("offline", set_in("failures", to={"of": 0}), "failures"),
    "a metric outside of its interval": ("offline", set_in("metrics", "bias", "value", to=5.0), "bias: 5 is outside"),
    "R² missing": ("offline", dropped("r2"), "expected the metrics of subgrid-forcing"),
    "survival missing": ("online", dropped("survival"), "expected the metrics of online-rollout"),
    "RMSE missing": ("assimilation", dropped("background_rmse"), "expected the metrics of da-increment"),
    "a smaller RMSE": (
        "offline",
        set_in("metrics", "rmse", to={"value": 0.5, "low": 0.4, "high": 0.6}),
        "as all rows of subgrid-forcing",
    ),
    "a better climate elsewhere": (
        "online",
        lambda fields: shift_metric(fields, "climate_part_shift", 0.05),
        "as all rows of online-rollout",
    ),
    "a smaller CRPS": ("online", lambda fields: shift_metric(fields, "crps_mean", -0.1), "as all rows of online"),
    "scores of one level of noise": (
        "recovery",
        lambda fields: shift_metric(fields, "score_noise_00", 4.0),
        "does not follow from the metrics",
    ),
    "scores of one budget": (
        "recovery",
        lambda fields: shift_metric(fields, "score_budget_5", 4.0),
        "does not follow from the metrics",
    ),
    "a reference that is none": ("offline", set_in("model", "kind", to="reference"), "expected a reference as"),
    "the name of a reference": ("offline", set_in("model", "name", to="U exactly"), "expected a reference as"),
    "a submission with seeds": ("submission", set_in("model", "seeds", to=[0]), "expected none of a submission"),
    "a submission as a reference": ("submission", set_in("model", "kind", to="reference"), "kind: 'reference' is said"),
    "a submission as a baseline": (
        "submission",
        set_in("model", "name", to="stencil  network"),
        "reads like that of the baseline",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "change", "reason"), FORGED.values(), ids=FORGED.keys())
def test_a_forged_row_is_found(name: str, change: Callable[[Fields], Any], reason: str) -> None:
    faults = faults_of(name, change)
    assert any(reason in each for each in faults), faults


def test_a_key_that_stands_twice_is_found(tmp_path: Path) -> None:
    path = tmp_path / "row.json"
    path.write_text(row_of("offline").to_json().replace('"value":', '"value": 99.5, "value":', 1))
    with pytest.raises(ResultError, match="twice"):
        Result.read(path)


ORIGINS: dict[str, tuple[str, Callable[[Fields], Any], str]] = {
    "other authors": ("submission", set_in("submission", "authors", to=["Me"]), "not the one that the row names"),
    "another artifact": (
        "submission",
        set_in("submission", "artifact_sha256", to="0" * 64),
        "not the one that the row",
    ),
    "no overlaps": ("submission", set_in("submission", "overlaps", to=["x"]), "not the one that the row names"),
    "other inputs": ("submission", set_in("model", "inputs", to="X_k"), "described differently: inputs"),
    "no submission": ("submission", lambda fields: fields.pop("submission"), "no baseline makes it"),
    "a command that is no baseline's": (
        "offline",
        set_in("model", "command", to="l96bench run x"),
        "no baseline makes",
    ),
    "another baseline's command": (
        "offline",
        set_in("model", "command", to=lambda text: text.replace("quartic", "linear")),
        "no baseline makes it",
    ),
    "no seeds": (
        "offline",
        lambda fields: (fields["model"].update(seeds=[]), fields["score"].update(seeds=[])),
        "seeds: expected those of a baseline's training",
    ),
    "a reference that has no row": (
        "offline",
        lambda fields: (
            fields["score"].update(seeds=[]),
            fields.update(model=LITERATURE.model_dump(mode="json")),
        ),
        "no baseline makes it: task.references",
    ),
    "another task's command": (
        "offline",
        set_in("model", "command", to=lambda text: text.replace("wilks-f20", "wilks-f18")),
        "no baseline makes it",
    ),
}


@pytest.mark.parametrize(("name", "change", "reason"), ORIGINS.values(), ids=ORIGINS.keys())
def test_a_row_that_is_not_what_its_origin_makes_is_found(
    name: str, change: Callable[[Fields], Any], reason: str, tmp_path: Path
) -> None:
    (tmp_path / "submissions").symlink_to(BOARD / "submissions")
    path = tmp_path / "results" / path_of(name).relative_to(BOARD / "results")
    fields = json.loads(path_of(name).read_text(encoding="utf-8"))
    change(fields)
    Result.model_validate(fields).write(path)
    [found] = verify_rows([path], tmp_path / "submissions", run=False)
    assert (found.status, reason in found.reason) == (DIFFERENT, True), found


@pytest.mark.slow
def test_the_command_finds_a_forged_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "submissions").symlink_to(BOARD / "submissions")
    honest = path_of("online")
    path = tmp_path / "results" / honest.relative_to(BOARD / "results")
    path.parent.mkdir(parents=True)
    for each in honest.parent.glob("*.json"):
        (path.parent / each.name).write_bytes(each.read_bytes())
    fields = json.loads(path.read_text(encoding="utf-8"))
    for change, code in ((None, 0), (raised, 1)):
        if change is not None:
            change(fields)
            path.write_text(json.dumps(fields))
        with pytest.raises(SystemExit) as end:
            main(["verify", str(path), "--board", str(tmp_path), "--no-run"])
        assert (end.value.code or 0) == code, capsys.readouterr().out


@pytest.mark.slow
def test_every_committed_row_can_be_so() -> None:
    paths = rows_of(str(BOARD / "results"), BOARD)
    found = verify_rows(paths, BOARD / "submissions", run=False)
    assert [each for each in found if each.status != CONSISTENT] == []
    assert len(found) == len(list((BOARD / "results").rglob("*.json"))) > 100
