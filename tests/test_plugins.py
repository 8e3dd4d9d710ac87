from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from l96bench.errors import L96BenchError, UnknownIdError
from l96bench.plugins import Registry

GROUP = "l96bench.numbers"


def install(folder: Path, package: str, code: str, offers: dict[str, str]) -> None:
    """Put a package into a folder as an installer does: its module, and a .dist-info with its entry points."""
    (folder / f"{package}.py").write_text(code)
    info = folder / f"{package}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
    lines = "".join(f"{name} = {value}\n" for name, value in offers.items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def number(name: str, value: Any) -> int:
    if not isinstance(value, int):
        raise L96BenchError(f"expected a whole number, got {value!r}")
    return value


def test_an_offered_object_is_imported_when_it_is_asked_for(site: Path) -> None:
    install(site, "offers_three", "three = 3", {"three": "offers_three:three"})
    registry = Registry("number", GROUP, number)
    registry.register("one", 1)
    assert list(registry) == ["one", "three"]
    assert "three" in registry
    assert "offers_three" not in sys.modules
    assert registry["three"] == 3
    assert registry.working() == {"one": 1, "three": 3}
    with pytest.raises(UnknownIdError, match=r"no number 'thre'\. Did you mean 'three'"):
        registry["thre"]


def test_a_name_that_two_packages_offer_names_both(site: Path) -> None:
    install(site, "first_four", "four = 4", {"four": "first_four:four", "five": "first_four:four"})
    install(site, "second_four", "four = 4", {"four": "second_four:four"})
    registry = Registry("number", GROUP)
    with pytest.raises(L96BenchError, match=r"first_four 1\.5 \(first_four:four\).*second_four 1\.5"):
        registry["four"]
    assert registry.working() == {"five": 4}


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("six = 1 / 0", ZeroDivisionError),
        ("raise SystemExit(0)", SystemExit),
        ("seven = 7", AttributeError),
        ("six = 'six'", L96BenchError),
        ("import no_such_module_anywhere", ModuleNotFoundError),
    ],
)
def test_a_broken_offer_hinders_nothing_else(site: Path, code: str, cause: type[BaseException]) -> None:
    package = f"broken_{cause.__name__.lower()}"
    install(site, package, code, {"six": f"{package}:six"})
    registry = Registry("number", GROUP, number)
    registry.register("one", 1)
    assert registry["one"] == 1
    assert registry.working() == {"one": 1}
    for _ in range(2):
        with pytest.raises(L96BenchError, match=rf"{package} 1\.5 .* cannot be loaded: {cause.__name__}") as failure:
            registry["six"]
        assert type(failure.value.__cause__) is cause
    assert list(registry.broken()) == ["six"]


def test_a_registered_name_is_not_given_away(site: Path) -> None:
    install(site, "another_one", "one = 11", {"one": "another_one:one"})
    registry = Registry("number", GROUP)
    registry.register("one", 1)
    with pytest.warns(UserWarning, match=r"number 'one' of another_one 1\.5 .* is refused"):
        assert registry["one"] == 1
    registry.register("one", 1)
    with pytest.raises(L96BenchError, match="the number 'one' of this program is refused"):
        registry.register("one", 2)


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_package_may_register_what_it_offers(site: Path) -> None:
    registry = Registry("class", GROUP)
    code = "import test_plugins_registry\nclass Eight: ...\ntest_plugins_registry.it.register('eight', Eight)"
    module = type(sys)("test_plugins_registry")
    module.it = registry  # type: ignore[attr-defined]
    sys.modules["test_plugins_registry"] = module
    install(site, "offers_eight", code, {"eight": "offers_eight:Eight"})
    assert registry["eight"] is registry["eight"]
    assert not registry.broken()


def test_a_definition_that_is_run_again_takes_its_own_place() -> None:
    registry = Registry("class", GROUP)
    made = []
    for _ in range(2):

        class Nine: ...

        made.append(registry.register("nine", Nine))
    assert registry["nine"] is made[1]
    with pytest.raises(L96BenchError, match=r"of l96bench\.plugins is refused: .*test_plugins has registered another"):
        registry.register("nine", Registry)
