"""The regimes of the Lorenz-96 family: frozen parameter sets with their sources."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.plugins import Registry

__all__ = [
    "REGIMES",
    "SHIFT",
    "Regime",
    "get_regime",
    "list_regimes",
    "other_regimes",
    "register_regime",
    "registered_digests",
]

SHIFT = 4.0
"""The forcing added in every `shift` split: a warmer climate that no model is trained on."""


@dataclass(frozen=True, slots=True)
class Regime:
    """One member of the Lorenz-96 family.

    The resolved variables X (K points) are coupled to fast variables Y (J per point) and, in the three-scale
    system, to faster variables Z (I per fast variable)::

        dX_k/dt = X_{k-1} (X_{k+1} - X_{k-2}) - X_k + F + U_k
        dY_m/dt = -c b Y_{m+1} (Y_{m+2} - Y_{m-1}) - c Y_m + (h c / b) X_{m // J} - (h e / d) sum_i Z_{i,m}
        dZ_n/dt = e d Z_{n-1} (Z_{n+1} - Z_{n-2}) - g e Z_n + (h e / d) Y_{n // I}

    with ``S_k = -(h c / b) sum_j Y_{j,k}`` and ``U_k = S_k`` (coupling ``"local"``) or ``U_k = S_{k-1} - S_{k+1}``
    (coupling ``"flux"``, whose sum over the ring is zero). Every index is periodic; m runs over K J, n over K J I.
    Raises `L96BenchError` for sizes or parameters that no such system has.

    Parameters
    ----------
    id : str
        Name, also the first word of the seeds of the regime's data.
    K, J, I : int
        Points, fast variables per point (0: single-scale), faster variables per fast one (0: no third scale).
    F : float
        Forcing of X.
    h, b, c : float
        Coupling strength, amplitude ratio and time-scale ratio of X and Y.
    d, e, g : float
        Amplitude ratio and time-scale ratio of Y and Z, and damping of Z.
    coupling : {"local", "flux"}
        How the fast variables act on X.
    source : str
        Source of the parameters.

    Examples
    --------
    >>> import l96bench
    >>> mine = l96bench.Regime("mild", K=8, J=4, F=14.0)
    >>> run = l96bench.simulate(mine, 1.0, spin_up=1.0)
    >>> run.X.shape, run.Y.shape
    ((20, 8), (20, 8, 4))
    """

    id: str
    K: int
    J: int
    F: float
    h: float = 1.0
    b: float = 10.0
    c: float = 10.0
    I: int = 0  # noqa: E741 (the field's name)
    d: float = 10.0
    e: float = 10.0
    g: float = 10.0
    coupling: Literal["local", "flux"] = "local"
    source: str = ""

    def __post_init__(self) -> None:
        if self.K < 4 or self.J < 0 or self.I < 0:
            raise L96BenchError(
                f"regime {self.id!r}: expected K >= 4, J >= 0, I >= 0, got {self.K}, {self.J}, {self.I}"
            )
        if self.I and not self.J:
            raise L96BenchError(f"regime {self.id!r}: a third scale (I = {self.I}) needs fast variables (J > 0)")
        numbers = {name: getattr(self, name) for name in "Fhbcdeg"}
        wrong = {name: value for name, value in numbers.items() if not math.isfinite(value)}
        wrong |= {name: numbers[name] for name in "bd" if numbers[name] == 0.0}
        if wrong:
            raise L96BenchError(f"regime {self.id!r}: expected finite parameters, b and d not zero, got {wrong}")
        if self.coupling not in ("local", "flux"):
            raise L96BenchError(f"regime {self.id!r}: expected coupling 'local' or 'flux', got {self.coupling!r}")

    @property
    def scales(self) -> int:
        """The number of time scales: 1, 2 or 3."""
        return 1 + (self.J > 0) + (self.I > 0)

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the state's parts: ``(K,)``, then ``(K, J)``, then ``(K, J, I)``."""
        return ((self.K,), (self.K, self.J), (self.K, self.J, self.I))[: self.scales]

    @property
    def word(self) -> int:
        """The 32-bit word of this regime in seeds: the first four bytes of its id's SHA-256."""
        return seed_word(self.id)

    def shifted(self, by: float = SHIFT) -> Regime:
        """Return the same regime in a warmer climate: forcing F + `by`, same id."""
        return replace(self, F=self.F + by)


def seed_word(text: str) -> int:
    """Return a 32-bit seed word for a name, the same on every machine: the first four bytes of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


_WILKS = "Wilks 2005, Q. J. R. Meteorol. Soc. 131, 389-407, doi:10.1256/qj.04.03"
_ARNOLD = "Arnold, Moroz and Palmer 2013, Phil. Trans. R. Soc. A 371, 20110479, doi:10.1098/rsta.2011.0479"
_RASP = "Rasp 2020, Geosci. Model Dev. 13, 2185-2196, doi:10.5194/gmd-13-2185-2020"
_LORENZ = "Lorenz and Emanuel 1998, J. Atmos. Sci. 55, 399-414"
_THORNES = "Thornes, Dueben and Palmer 2017, Q. J. R. Meteorol. Soc. 143, 897-908, doi:10.1002/qj.2974"

REGIMES: tuple[Regime, ...] = (
    Regime("wilks-f18", 8, 32, 18.0, source=_WILKS),
    Regime("wilks-f20", 8, 32, 20.0, source=_WILKS),
    Regime("arnold-c4", 8, 32, 20.0, c=4.0, source=_ARNOLD),
    Regime("wide-k36", 36, 10, 10.0, source=_RASP),
    Regime("da-k40", 40, 10, 10.0, source=f"as wide-k36, on the ring of {_LORENZ}"),
    Regime("weak-h01", 8, 32, 18.0, h=0.1, source=f"as wilks-f18 ({_WILKS}), weakly coupled"),
    Regime("conservative-f12", 8, 32, 12.0, coupling="flux", source=f"as wilks-f18 ({_WILKS}), coupled by a flux"),
    Regime("lorenz96-k40", 40, 0, 8.0, source=_LORENZ),
    Regime("three-scale", 8, 8, 20.0, I=8, source=_THORNES),
)
"""Every named regime."""

_BY_ID = {regime.id: regime for regime in REGIMES}
_DIGESTS: dict[str, str] = {}


def _checked(id: str, regime: Any) -> Regime:
    """Return a regime offered under an id, or raise if it cannot have data sets and tasks."""
    if not isinstance(regime, Regime) or regime.id != id:
        raise L96BenchError(f"expected a Regime of that id, got {regime!r:.80}")
    if not re.fullmatch("[a-z0-9-]+", id) or regime.scales == 1:
        raise L96BenchError(f"regime {id!r}: expected an id of a-z, 0-9 and -, and fast variables (J > 0)")
    if _BY_ID.get(id, regime) != regime:
        raise L96BenchError(f"there is a regime {id!r} with other parameters; choose another id: {_BY_ID[id]}")
    return regime


_OTHERS: Registry[Regime] = Registry("regime", "l96bench.regimes", _checked)


def list_regimes() -> list[str]:
    """Return the ids of all named regimes: those of l96bench, then those of `register_regime`.

    Returns
    -------
    list of str
        What `get_regime`, `simulate` and `rollout` take.

    Examples
    --------
    >>> import l96bench
    >>> l96bench.list_regimes()[:3]
    ['wilks-f18', 'wilks-f20', 'arnold-c4']
    """
    return [*_BY_ID, *other_regimes()]


def register_regime(regime: Regime, digests: Mapping[str, str] | None = None) -> Regime:
    """Add a regime, with data sets and tasks of every family of closures.

    An installed package can instead offer regimes by id as entry points of the group ``l96bench.regimes``, which are
    found without a call. Tasks take the regime along into other processes.

    Parameters
    ----------
    regime : Regime
        With fast variables, which the closures of its tasks replace.
    digests : mapping of str to str, optional
        SHA-256 of the arrays of its data sets, as ``l96bench data record`` prints them; by default those of the data
        when they are first made on a machine.

    Returns
    -------
    Regime
        The same regime.

    Raises
    ------
    L96BenchError
        If the id is taken by a regime with other parameters, or the regime has no fast variables.

    Examples
    --------
    >>> import l96bench
    >>> l96bench.register_regime(l96bench.Regime("warm-example", K=8, J=32, F=24.0)).id
    'warm-example'
    >>> "subgrid-forcing/warm-example-v1" in l96bench.list_tasks("subgrid-forcing")
    True
    """
    _checked(getattr(regime, "id", ""), regime)
    if regime.id not in _BY_ID:
        _OTHERS.register(regime.id, regime)
    _DIGESTS.update(digests or {})
    return regime


def other_regimes() -> Mapping[str, Regime]:
    """Return the regimes of `register_regime` and of other packages, by id."""
    return _OTHERS.working()


def registered_digests() -> Mapping[str, str]:
    """Return the digests that came with the regimes of `register_regime`, by ``regime/split/array``."""
    return MappingProxyType(_DIGESTS)


def get_regime(regime: str | Regime) -> Regime:
    """Return the regime of that id; a `Regime` is returned as it is.

    Parameters
    ----------
    regime : str or Regime
        An id, of which `list_regimes` returns all, or parameters of your own.

    Returns
    -------
    Regime
        The parameters of the system.

    Raises
    ------
    UnknownIdError
        If no regime has that id; the message names the closest ones.

    Examples
    --------
    >>> import l96bench
    >>> regime = l96bench.get_regime("wilks-f20")
    >>> regime.K, regime.J, regime.F
    (8, 32, 20.0)
    """
    if isinstance(regime, Regime):
        return regime
    if regime in _BY_ID:
        return _BY_ID[regime]
    if regime not in _OTHERS:
        raise UnknownIdError(f"no regime {regime!r}." + nearest(str(regime), list_regimes()))
    return _OTHERS[regime]
