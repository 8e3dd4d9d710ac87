"""The ratios that the project promises, collected from the benchmarks of one run and printed at its end."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field

import pytest

_RELATIONS = {"<=": operator.le, ">=": operator.ge}


@dataclass
class Measured:
    """Seconds by name, and for every promise the ratio of two of them."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def compare(self, label: str, numerator: str, denominator: str, relation: str, target: float) -> dict[str, float]:
        """Note the ratio of two measurements and whether it keeps the promise; nothing if one was not measured."""
        if not {numerator, denominator} <= self.seconds.keys():
            return {}
        return self.promise(label, self.seconds[numerator] / self.seconds[denominator], relation, target)

    def promise(self, label: str, value: float, relation: str, target: float) -> dict[str, float]:
        """Note a number and whether it keeps the promise."""
        verdict = "kept" if _RELATIONS[relation](value, target) else "not kept"
        self.lines.append(f"{label:<60} {value:8.3g}   promised {relation} {target:<5g} {verdict}")
        return {label: value}


_KEY = pytest.StashKey[Measured]()


@pytest.fixture(scope="session")
def measured(pytestconfig: pytest.Config) -> Measured:
    """What the benchmarks of this run have found so far."""
    return pytestconfig.stash.setdefault(_KEY, Measured())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the promises below the tables."""
    lines = config.stash.get(_KEY, Measured()).lines
    if lines:
        terminalreporter.section("promises")
        terminalreporter.write_line("\n".join(lines))
