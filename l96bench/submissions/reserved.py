"""Names and kinds that a submission may not have, because a reader would take it for a reference or a baseline."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

from l96bench.entries.lookup import baseline_titles
from l96bench.results.origin import slug_of
from l96bench.results.record import ModelInfo
from l96bench.tasks.registry import families

__all__ = ["is_device", "is_invisible", "name_faults", "skeleton"]

MAX_SLUG = 120
"""The longest name of a folder or row, so that every file system can hold it."""
_WORDS = ("reference", "baseline", "attack")
"""Kinds of the board's own rows; words of them in the kind of a submission are refused."""
_PLACES = ("floor", "ceiling", "literature", "truth")
"""What references are called where the score is explained."""
_DEVICES = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5\u0640\u180e\u00ad")
"""Characters that show nothing, or next to nothing, and are not of a category that says so."""
_JAMO = re.compile("[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")
_LATIN = re.compile(
    r"LATIN (?:(?:SMALL|CAPITAL) LETTER |LETTER SMALL CAPITAL )(?:DOTLESS |SCRIPT |OPEN |LONG )?([A-Z])(?: WITH .*)?"
)
_LOOKS_LIKE = {
    # Cyrillic
    "абвгезиіјкԛмнһопрсѕтуԝхѵьԁӏҽүґ": "a6bre3uijkqmhhonpcstywxvbdleyr",
    # Greek
    "αβγεζηικμνοπρσςτυχω": "abyeznikuvonpoctuxw",
    # Armenian
    "աբգզէըհիյոպսվտցքօ": "wpqqtphhjnwuvsgpo",
    # Cherokee, whose capitals are its folded form
    "ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃᎩ": "abcdeghijklmprstvwzy",
    # Lisu
    "ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ": "abcdefghijklmnoprstuvwxyz",
    # Coptic
    "ⲁⲃⲅⲉⲍⲏⲓⲕⲙⲛⲟⲣⲥⲧⲩⲭ": "abreznikmhopctyx",
}


_CONFUSABLE = {
    letter: one for letters, latin in _LOOKS_LIKE.items() for letter, one in zip(letters, latin, strict=True)
}
_CAPITALS = str.maketrans("ΗΜΝΥ", "HMNY")
"""Greek capitals that look like other Latin letters than their small ones."""


def is_invisible(character: str) -> bool:
    """Return whether a character shows nothing of its own: a filler, a format character or an uncombined vowel."""
    if unicodedata.category(character) in {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}:
        return True
    return character in _FILLERS or bool(_JAMO.fullmatch(character))


@cache
def skeleton(name: str) -> str:
    """Return what two names share that a reader can hardly tell apart: lower-case letters and digits.

    Compatible characters, case, accents, invisible characters, separators and letters that look alike, of any script,
    make no difference (after Unicode Technical Standard 39).
    """
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", name)).translate(_CAPITALS)
    kept = []
    for each in unicodedata.normalize("NFKD", plain.casefold()).casefold():
        if is_invisible(each) or not each.isalnum():
            continue
        digit = unicodedata.decimal(each, None)
        latin = _LATIN.fullmatch(unicodedata.name(each, ""))
        kept.append(str(digit) if digit is not None else latin[1].lower() if latin else _CONFUSABLE.get(each, each))
    text = "".join(kept).replace("0", "o").replace("1", "l").replace("i", "l")
    return text.replace("rn", "m").replace("vv", "w")


def _without_words(name: str) -> str:
    """Return the skeleton of a name without "(reference)" and the like."""
    words = [skeleton(each) for each in re.split(r"[\W_]+", name)]
    return "".join(each for each in words if each not in set(map(skeleton, _WORDS)))


def _references() -> Iterator[tuple[str, ModelInfo]]:
    """Yield the references of all families and regimes, each with what it is."""
    for family in families().values():
        with suppress(Exception):  # a family of another package that fails stops nobody else
            for regime in family.regime_ids():
                for place, reference in family(regime).references.items():
                    yield f"{reference.info.name!r}, the {place} of {family.family}", reference.info


@cache
def _own_names() -> dict[str, str]:
    """Return what each name of the board's own rows belongs to, by every form of the name."""
    titles = baseline_titles()
    own = [(f"the baseline {titles[key]!r}", name) for key in titles for name in (key, titles[key])]
    own += [("one of the references", name) for name in (*_PLACES, "references")]
    own += [(what, info.name) for what, info in _references()]
    return {form: what for what, name in own for form in _forms(name)}


def _forms(name: str) -> set[str]:
    """Return the forms of a name of which none may be shared: as it reads, without "(reference)", and as a file."""
    words = map(skeleton, re.split(r"[\W_]+", name))
    shortened = "".join(each for each in words if each not in map(skeleton, _WORDS))
    return {skeleton(name), shortened, skeleton(slug_of(name))} - {""}


def name_faults(name: str, kind: str) -> list[str]:
    """Return a line for each reason why a submission may not have this name or this kind."""
    faults, own = [], _own_names()
    if taken := sorted({own[form] for form in _forms(name) if form in own}):
        faults.append(f"name: {name!r} reads like that of {taken[0]}; choose another")
    marks = {*_WORDS, *(info.kind for _, info in _references())}
    for field, text in (("name", name), ("kind", kind)):
        words = {skeleton(text), *map(skeleton, re.split(r"[\W_]+", text))}
        if said := sorted(mark for mark in marks if {skeleton(mark), skeleton(f"{mark}s")} & words):
            faults.append(f"{field}: {said[0]!r} is said of the board's own rows alone, got {text!r}; choose another")
    slug = slug_of(name)
    if is_device(slug):
        faults.append(f"name: no file can be called {slug!r} on Windows; choose another")
    if len(slug) > MAX_SLUG:
        faults.append(f"name: expected at most {MAX_SLUG} letters as the name of a file, got {len(slug)}")
    return faults


def is_device(stem: str) -> bool:
    """Return whether no file can have this name on Windows, where the repository could not be cloned then."""
    return bool(_DEVICES.fullmatch(stem.lower()))
