"""Registries of named objects that other installed packages can add to through entry points."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from l96bench.errors import L96BenchError, UnknownIdError, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["Registry"]

T = TypeVar("T")


@functools.lru_cache(maxsize=32)
def _offers(group: str, path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """Return the entry points of a group by name; found again when `sys.path` (the argument `path`) has changed."""
    from importlib.metadata import entry_points  # imported here because it takes a while

    found: dict[str, list[EntryPoint]] = {}
    for each in entry_points(group=group):
        found.setdefault(each.name, []).append(each)
    return {name: found[name] for name in sorted(found)}


class Registry(Mapping[str, T], Generic[T]):
    """Objects by name: those registered in this process, and those that installed packages offer.

    A package offers an object by an entry point of the registry's group, whose name is the object's name::

        [project.entry-points."l96bench.diagnostics"]
        rainfall = "my_package.diagnostics:rainfall"

    It is imported when it is requested. A name that two packages offer raises an error that names both. A registered
    object takes precedence over an offered one, with a warning. An object that cannot be loaded affects no other:
    requesting it raises an error caused by its exception.

    `noun` is what messages call an object, `group` the group of entry points, and `check(name, object)` returns the
    object if it may have that name, and raises if not.
    """

    def __init__(self, noun: str, group: str, check: Callable[[str, Any], T] | None = None) -> None:
        self.noun = noun
        self.group = group
        self._check = check or (lambda name, value: value)
        self._own: dict[str, T] = {}
        self._loaded: dict[EntryPoint, T | L96BenchError] = {}
        self._refused: set[EntryPoint] = set()

    def register(self, name: str, value: Any) -> T:
        """Add an object under a name and return it; L96BenchError if a different object or definition has the name."""
        checked = self._check(name, value)
        before = self._own.get(name)
        if before is not None and not _same(before, checked):
            raise L96BenchError(
                f"the {self.noun} {name!r} of {_origin(checked)} is refused: {_origin(before)} has registered another "
                "one of that name; choose a different name"
            )
        self._own[name] = checked
        return checked

    def __getitem__(self, name: str) -> T:
        """Return the object of that name.

        Raises UnknownIdError, which names the closest ones, if there is none, and L96BenchError if two packages offer
        one or it cannot be loaded.
        """
        offers = self._offers().get(name, [])
        if name in self._own:
            for offer in offers:
                self._refuse_another(offer, self._own[name])
            return self._own[name]
        if not offers:
            raise UnknownIdError(f"no {self.noun} {name!r}." + nearest(str(name), self))
        if len(offers) > 1:
            places = " and ".join(sorted(_distribution(each) for each in offers))
            raise L96BenchError(
                f"the {self.noun} {name!r} is refused, because more than one package offers it: {places}; "
                "uninstall all but one, or ask their authors for different names"
            )
        loaded = self._load(offers[0])
        if isinstance(loaded, L96BenchError):
            raise loaded
        return loaded

    def __iter__(self) -> Iterator[str]:
        """Return the names, registered ones first; nothing is loaded."""
        yield from dict.fromkeys((*self._own, *self._offers()))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._offers()

    def working(self) -> dict[str, T]:
        """Return every object that can be loaded, by name; loads all of them."""
        return {name: value for name, value in self._tried().items() if not isinstance(value, L96BenchError)}

    def broken(self) -> dict[str, L96BenchError]:
        """Return the error of every name that cannot be loaded; loads all of them."""
        return {name: value for name, value in self._tried().items() if isinstance(value, L96BenchError)}

    def _tried(self) -> dict[str, T | L96BenchError]:
        found: dict[str, T | L96BenchError] = {}
        for name in self:
            try:
                found[name] = self[name]
            except L96BenchError as error:
                found[name] = error
        return found

    def _offers(self) -> Mapping[str, list[EntryPoint]]:
        return _offers(self.group, tuple(sys.path))

    def _load(self, offer: EntryPoint) -> T | L96BenchError:
        """Return the object of an entry point, or the error that asking for it raises; loaded once."""
        if offer not in self._loaded:
            try:
                self._loaded[offer] = self._check(offer.name, offer.load())
            except (Exception, SystemExit) as error:
                failure = L96BenchError(
                    f"the {self.noun} {offer.name!r} of {_distribution(offer)} cannot be loaded: "
                    f"{type(error).__name__}: {error}"
                )
                failure.__cause__ = error
                self._loaded[offer] = failure
        return self._loaded[offer]

    def _refuse_another(self, offer: EntryPoint, own: T) -> None:
        """Warn, once, that an offered object does not take the place of a registered one; not if they are the same."""
        if offer in self._refused or self._loaded.get(offer) is own:
            return
        self._refused.add(offer)
        self._load(offer)
        offered = self._loaded[offer]
        if isinstance(offered, L96BenchError) or not _same(offered, own):
            warnings.warn(
                f"the {self.noun} {offer.name!r} of {_distribution(offer)} is refused: {_origin(own)} has registered "
                "one of that name",
                stacklevel=4,
            )


def _definition(value: Any) -> tuple[str, str] | None:
    """Return module and name of a class, a function, or the function that an object wraps; None for others."""
    made = getattr(value, "__wrapped__", value)
    return (made.__module__, made.__qualname__) if hasattr(made, "__qualname__") else None


def _same(first: Any, second: Any) -> bool:
    """Return whether two objects are identical, equal, or made by the same definition (a notebook cell run again)."""
    if first is second:
        return True
    definition = _definition(first)
    if definition is not None:
        return definition == _definition(second)
    return type(first) is type(second) and bool(first == second)


def _origin(value: Any) -> str:
    """Return the module in which an object was defined, `this program` for an object without a definition."""
    definition = _definition(value)
    return "this program" if definition is None else definition[0]


def _distribution(offer: EntryPoint) -> str:
    """Return the name and version of the package that offers an object, and the object's place in it."""
    package = "a package without a name" if offer.dist is None else f"{offer.dist.name} {offer.dist.version}"
    return f"{package} ({offer.value})"
