"""Names and kinds that mislead: those of references and baselines in every disguise; honest ones stay free."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from l96bench.entries.lookup import baseline_titles
from l96bench.errors import SubmissionError
from l96bench.submissions.reserved import name_faults, skeleton
from l96bench.submissions.submission import Submission
from l96bench.tasks.registry import families
from l96bench.tasks.subgrid_forcing import SubgridForcing


def fields(**changed: Any) -> dict[str, Any]:
    return {
        "schema": "l96bench/submission/1",
        "name": "my network",
        "authors": ["Ada Ünal"],
        "kind": "network",
        "inputs": "X_k",
        "description": "A network.",
        "tasks": [task.id for task in map(SubgridForcing, ("wilks-f20", "arnold-c4"))],
        "artifacts": "closure.onnx",
        "training": [],
    } | changed


HONEST = (
    "quartic by a newcomer", "Net (5-64-64), AR(1)", "stencil network, seed 0", "GRU of two layers", "нейросеть",
    "network, radius 2", "β-VAE", "リカレント網", "U-net", "perfectly ordinary",
)  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_honest_names_are_free(name: str) -> None:
    assert name_faults(name, "network") == []


def test_every_reference_and_every_baseline_is_reserved() -> None:
    names = [*baseline_titles(), *baseline_titles().values()]
    for family in families().values():
        for regime in family.regime_ids():
            names += [each.info.name for each in family(regime).references.values()]
    assert len(set(names)) > 100
    for name in set(names):
        for shown in (name, name.upper(), name.replace(" ", "-"), name.removesuffix(" (reference)")):
            assert name_faults(shown, "network"), shown


DISGUISED = {
    "wide letters": "ｓｔｅｎｃｉｌ network",
    "mathematical letters": "𝐬𝐭𝐞𝐧𝐜𝐢𝐥 network",
    "Cyrillic letters": "ѕtеnсіl nеtwоrk",
    "Greek capitals": "ΝΟ CLΟSURΕ",
    "small capitals": "ꜱᴛᴇɴᴄɪʟ network",
    "Lisu letters": "ꓢꓔꓰꓠꓚꓲꓡ network",
    "Cherokee letters": "ᏚᎢᎬncil network",
    "accents": "stêncil nétwork",
    "strokes": "stenciƚ netwørk",
    "dotless": "stencıl network",
    "digits": "stencil netw0rk",
    "digits of another script": "network, radius ١",
    "one for l": "stenci1 network",
    "r and n": "textbook equation".replace("m", "rn") + " (reference)",
    "v and v": "stencil netvvork",
    "separators": "s-t-e-n-c-i-l.network",
    "other signs": "U = exactly",
    "a Hangul filler": "stencil\u3164network",
    "a soft hyphen": "sten\u00adcil network",
    "a zero width space": "sten\u200bcil network",
    "a combining mark": "stenc\u0323il network",
    "a variation selector": "stencil\ufe0f network",
    "dropped from its file": "U exactly 好",
    "a word added": "climatological mean of U (baseline)",
    "a key": "quartic_ar1",
    "a place": "the ceiling".removeprefix("the "),
    "a place in capitals": "FLOOR",
}


@pytest.mark.parametrize("name", DISGUISED.values(), ids=DISGUISED.keys())
def test_a_disguise_is_seen_through(name: str) -> None:
    assert any("reads like that of" in each for each in name_faults(name, "network")), skeleton(name)


@pytest.mark.parametrize(
    "kind",
    ["attack", "reference", "Reference", "baselines", "the reference", "rеference", "ｂaseline", "REF\u00adERENCE"],
)
def test_kinds_of_the_boards_own_rows_are_reserved(kind: str) -> None:
    assert any(each.startswith("kind: ") for each in name_faults("my network", kind))


@pytest.mark.parametrize("name", ["con", "NUL", "Com1", "é" * 90 + "㎨" * 100])
def test_names_that_cannot_be_files_are_refused(name: str) -> None:
    assert any("file" in each for each in name_faults(name, "network"))


@pytest.mark.parametrize("letter", "\u3164\u115f\u1160\uffa0\u0640\u1100\u11a8")
def test_letters_that_show_nothing_are_refused(letter: str) -> None:
    assert letter.isalpha()
    for name in (letter, f"my{letter}network"):
        if unicodedata.normalize("NFC", name) == name:
            with pytest.raises(SubmissionError, match="characters that can be seen"):
                Submission.of(fields(name=name))


@pytest.mark.parametrize(
    "artifacts",
    [
        {"wilks-f20": "closure.onnx", "arnold-c4": "Closure.onnx"},
        {"wilks-f20": "a.json", "arnold-c4": "A.JSON".replace("JSON", "json")},
        {"default": "Submission.yaml"},
        {"default": "SUBMISSION.yaml"},
    ],
)
def test_files_that_are_one_where_case_does_not_count_are_refused(artifacts: dict[str, Any]) -> None:
    with pytest.raises(SubmissionError, match="one file on many machines"):
        Submission.of(fields(artifacts=artifacts))


@pytest.mark.parametrize("name", ["CON.onnx", "nul.json", "lpt1.yaml"])
def test_files_that_windows_cannot_have_are_refused(name: str) -> None:
    with pytest.raises(SubmissionError, match="on Windows"):
        Submission.of(fields(artifacts=name))
