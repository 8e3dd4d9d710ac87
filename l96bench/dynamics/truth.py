"""The truth: trajectories of any regime, the same bits on every machine and for every number of threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.checks import seed_words, whole_multiple
from l96bench.display import brief, draw_hovmoeller
from l96bench.dynamics import kernels, resolved_kernels
from l96bench.dynamics.lanes import WIDTH
from l96bench.errors import BlowUpError, L96BenchError
from l96bench.progress import progress as show_progress
from l96bench.regimes import Regime, get_regime

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

__all__ = ["SPIN_UP", "TRUTH_DT", "Trajectory", "put_out_of_reach", "require_reach", "simulate"]

TRUTH_DT = 0.001
"""Time step of the truth, in MTU."""
SPIN_UP = 100.0
"""MTU that are integrated and thrown away before the first sample."""
_CHUNK = 20_000
"""Steps between two reports of progress (and two chances to be interrupted)."""

State = tuple[NDArray[np.float64], ...]
_out_of_reach: list[bool] = []


def put_out_of_reach() -> None:
    """Let this process neither simulate the truth nor read a data set from now on: it runs the code of a model."""
    _out_of_reach.append(True)


def require_reach() -> None:
    """Raise `L96BenchError` after `put_out_of_reach`."""
    if _out_of_reach:
        raise L96BenchError(
            "expected a model that uses what it is given alone: the truth can neither be simulated nor read here. "
            "What is trained with it belongs to online-rollout"
        )


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Samples of one or several trajectories of a regime.

    Parameters
    ----------
    regime : Regime
        The system.
    time : (time,) array
        MTU since the end of the spin-up; the first sample is at 0.
    X : (time, K) or (trajectory, time, K) array
        Resolved variables.
    U : like X
        The tendency that the fast variables add to X, from Y at the sample's own time (zero for single-scale regimes).
    Y, Z : (time, K, J) and (time, K, J, I) arrays, with a leading trajectory axis where X has one, or None
        Fast and, of the three-scale system, faster variables; None where there are none, or they were not stored.

    Examples
    --------
    >>> import l96bench
    >>> run = l96bench.simulate("lorenz96-k40", 1.0, spin_up=1.0, n_trajectories=2)
    >>> run.X.shape, run.Y is None, bool((run.U == 0.0).all())
    ((2, 20, 40), True, True)
    """

    regime: Regime
    time: NDArray[np.float64]
    X: NDArray[np.float64]
    Y: NDArray[np.float64] | None
    U: NDArray[np.float64]
    Z: NDArray[np.float64] | None = None

    __repr__ = brief

    def plot(self, ax: Axes | None = None, variable: str = "X", trajectory: int = 0, **options: Any) -> Axes:
        """Draw X or U over point and time (a Hovmöller diagram), and return the axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes if not given.
        variable : {"X", "U"}
        trajectory : int
            Which one, where there are several.
        **options
            For matplotlib's ``imshow``, such as ``vmin``, ``vmax`` and ``cmap``.

        Raises
        ------
        L96BenchError
            For another variable, or a trajectory that is not there.
        """
        if variable not in ("X", "U"):
            raise L96BenchError(f"expected variable 'X' or 'U', got {variable!r}; other fields are in to_xarray()")
        field = getattr(self, variable).reshape(-1, *self.X.shape[-2:])
        if not -len(field) <= trajectory < len(field):
            raise L96BenchError(f"expected a trajectory of 0 to {len(field) - 1}, got {trajectory}")
        return draw_hovmoeller(ax, self.time, field[trajectory], variable, **options)

    def to_xarray(self) -> xarray.Dataset:
        """Return an xarray dataset with named dimensions and the regime's parameters as attributes."""
        import xarray

        lead = ("trajectory",) if self.X.ndim == 3 else ()
        names = {"X": ("k",), "U": ("k",), "Y": ("k", "j"), "Z": ("k", "j", "i")}
        arrays = {name: getattr(self, name) for name in names}
        data = {
            name: ((*lead, "time", *names[name]), array, {"units": "1"})
            for name, array in arrays.items()
            if array is not None
        }
        parameters = {name: getattr(self.regime, name) for name in ("id", *"KJIFhbcdeg", "coupling", "source")}
        return xarray.Dataset(data, coords={"time": ("time", self.time, {"units": "MTU"})}, attrs=parameters)


def simulate(
    regime: str | Regime,
    duration: float,
    *,
    interval: float = 0.05,
    seed: int | Sequence[int] = 0,
    n_trajectories: int = 1,
    dt: float = TRUTH_DT,
    spin_up: float | None = None,
    initial: ArrayLike | tuple[ArrayLike, ...] | None = None,
    store_fast: bool = True,
    threads: int | None = None,
    progress: bool | None = None,
) -> Trajectory:
    """Integrate a regime's full equations (see `Regime`) by classical RK4 and return samples.

    Parameters
    ----------
    regime : str or Regime
        A registered id, or parameters of your own.
    duration, interval : float
        MTU to sample, ``round(duration / interval)`` samples, the first at the end of the spin-up; and MTU between
        samples, a whole number of steps.
    seed : int or sequence of int
        Words of the seed; trajectory i draws its initial values from the PCG64 stream of ``[*seed, i]``, so that it
        does not depend on how many others are made.
    n_trajectories : int
        For more than one, arrays get a leading trajectory axis.
    dt : float
        Time step in MTU.
    spin_up : float, optional
        MTU to integrate before the first sample; 100, or 0 when `initial` is given.
    initial : array or tuple of arrays, optional
        The state to start from instead of a random one: X ``(K,)``, or ``(X, Y)`` with Y ``(K, J)``, or ``(X, Y, Z)``;
        all with a leading axis ``(n, ...)`` for n trajectories.
    store_fast : bool
        Keep Y (and Z), which are most of the memory.
    threads : int, optional
        Threads over trajectories; all processors if not given. The bits do not depend on it.
    progress : bool, optional
        Show a progress bar; by default when standard error is a terminal.

    Returns
    -------
    Trajectory
        Times in MTU, X, the tendency U that the fast variables add to X, and Y where it is stored.

    Raises
    ------
    L96BenchError
        For an unknown regime, a seed below 0, times that are no whole multiples, or a state of the wrong shape.
    BlowUpError
        If the integration leaves the finite numbers (`dt` too large for the regime).

    Examples
    --------
    >>> import l96bench
    >>> l96bench.simulate("wilks-f20", 10.0, spin_up=5.0)
    Trajectory(regime='wilks-f20', time=(200,), X=(200, 8), Y=(200, 8, 32), U=(200, 8))
    """
    regime = get_regime(regime)
    n_samples, every = whole_multiple(duration, interval), whole_multiple(interval, dt, "interval", "dt")
    words = seed_words(seed)
    if initial is None:
        if n_trajectories < 1:
            raise L96BenchError(f"expected n_trajectories >= 1, got {n_trajectories}")
        states = [random_state(regime, [*words, i]) for i in range(n_trajectories)]
    else:
        states = _given_states(regime, initial, n_trajectories)
    spin = (SPIN_UP if initial is None else 0.0) if spin_up is None else spin_up
    n_spin = whole_multiple(spin, dt, "spin_up", "dt") if spin else 0
    n_fast = n_samples if store_fast else 0
    shapes = [(n_samples, regime.K)] * 2 + [(n_fast, *shape) for shape in regime.state_shapes[1:]]
    out: list[NDArray[np.float64]] = [np.zeros((len(states), *shape)) for shape in shapes]
    total = len(states) * (n_spin + n_samples * every)
    with show_progress(f"simulating {regime.id}", total, progress) as report:

        def work(i: int) -> None:
            advance(regime, states[i], n_spin, dt, report)
            _record(regime, states[i], every, dt, [array[i] for array in out], report)

        in_threads(work, len(states), threads)
    if not all(np.isfinite(array).all() for array in out[:2]):
        raise BlowUpError(
            f"{regime.id} blew up: expected finite X with dt = {dt} MTU; try a smaller dt (default {TRUTH_DT})"
        )
    single = len(states) == 1 and (
        initial is None or np.ndim(initial[0] if isinstance(initial, tuple) else initial) == 1
    )
    stored = [None if not array.shape[1] else array[0] if single else array for array in out]
    X, U, Y, Z = [*stored, None, None][:4]
    assert X is not None
    assert U is not None
    time = np.asarray(np.arange(n_samples) * interval, dtype=np.float64)
    return Trajectory(regime, time, X, Y, U, Z)


def random_state(regime: Regime, words: Sequence[int]) -> State:
    """Return initial values from uniform bits alone: X in [0, F), Y in [-0.5, 0.5) / b, Z in [-0.5, 0.5) / (b d).

    Parameters
    ----------
    regime : Regime
        The system.
    words : sequence of int
        Words of the seed of a PCG64 stream.

    Returns
    -------
    tuple of arrays
        X (K,), with Y (K, J) and Z (K, J, I) where there are any.

    Examples
    --------
    >>> import l96bench
    >>> regime = l96bench.get_regime("wilks-f20")
    >>> X, Y = l96bench.random_state(regime, [0, 1])
    >>> X.shape, bool((0.0 <= X).all() and (X < regime.F).all())
    ((8,), True)
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(word) for word in words])))
    ranges = ((0.0, regime.F), (0.5, 1.0 / regime.b), (0.5, 1.0 / (regime.b * regime.d)))
    return tuple(
        (rng.random(shape) - shift) * scale for shape, (shift, scale) in zip(regime.state_shapes, ranges, strict=False)
    )


def _given_states(regime: Regime, initial: ArrayLike | tuple[ArrayLike, ...], n_trajectories: int) -> list[State]:
    """Return the caller's initial states, checked, as fresh arrays."""
    parts = initial if isinstance(initial, tuple) else (initial,)
    shapes = regime.state_shapes
    expected = f"expected an initial state of shapes {list(shapes)} (or with one leading axis)"
    try:
        arrays = [np.array(part, dtype=np.float64) for part in parts]
    except (TypeError, ValueError) as error:
        raise L96BenchError(f"{expected}, its parts in a tuple, got {type(initial).__name__} ({error})") from error
    came = [array.shape for array in arrays]
    if arrays and arrays[0].ndim <= 1:
        arrays = [array[None] for array in arrays]
    n = len(arrays[0]) if arrays else 0
    if [array.shape for array in arrays] != [(n, *shape) for shape in shapes]:
        raise L96BenchError(f"{expected}, got {came}")
    if not all(np.isfinite(array).all() for array in arrays):
        raise L96BenchError("expected a finite initial state, got NaN or infinity")
    if n_trajectories not in (1, n):
        raise L96BenchError(f"expected n_trajectories = {n}, as many as initial states, got {n_trajectories}")
    return [tuple(array[i].copy() for array in arrays) for i in range(n)]


def fills_lanes(regime: Regime) -> bool:
    """Return whether the kernels of two scales take a regime; those of three take the others, Y alone with no Z."""
    return regime.scales == 2 and regime.K % WIDTH == 0


def parameters(regime: Regime) -> tuple[float, ...]:
    """Return the numbers of the fast equations as the regime's kernels take them: hc/b, cb, c, and he/d, ed, ge."""
    two = (regime.h * regime.c / regime.b, regime.c * regime.b, regime.c)
    three = (regime.h * regime.e / regime.d, regime.e * regime.d, regime.g * regime.e)
    return two if fills_lanes(regime) else two + three


def _parts(regime: Regime, state: State) -> State:
    """Return a state as the regime's kernels take it, with an empty Z where it has none and they want one."""
    return (*state, np.empty((regime.K, regime.J, 0))) if _lacks_z(regime) else state


def _lacks_z(regime: Regime) -> bool:
    """Return whether the kernels of three scales take a regime of two."""
    return regime.scales == 2 and not fills_lanes(regime)


def advance(
    regime: Regime,
    state: State,
    n_steps: int,
    dt: float = TRUTH_DT,
    report: Callable[[int], None] = lambda done: None,
    stages: NDArray[np.float64] | None = None,
    mode: int = kernels.FREE,
) -> None:
    """Advance a state in place by classical RK4.

    Parameters
    ----------
    regime : Regime
        The system.
    state : tuple of arrays
        X (K,), with Y (K, J) and Z (K, J, I) where there are any; overwritten.
    n_steps : int
        Number of steps.
    dt : float
        Step in MTU.
    report : callable
        Called now and then with the number of steps made.
    stages : (n_steps, 4, K) array, optional
        X at the stages of every step.
    mode : int
        Whether `stages` is left alone (0), recorded, or prescribes X.

    Examples
    --------
    >>> import l96bench
    >>> regime = l96bench.get_regime("wilks-f20")
    >>> state = l96bench.random_state(regime, [0])
    >>> l96bench.advance(regime, state, 100)  # 0.1 MTU
    >>> [part.shape for part in state]
    [(8,), (8, 32)]
    """
    if mode != kernels.FREE and regime.scales == 1:
        raise L96BenchError(f"expected a regime with fast variables to drive, got the single-scale {regime.id!r}")
    require_reach()
    flux = regime.coupling == "flux"
    state = _parts(regime, state)
    for start in range(0, n_steps, _CHUNK):
        n = min(_CHUNK, n_steps - start)
        piece = np.empty((0, 4, regime.K)) if stages is None else stages[start : start + n]
        if regime.scales == 1:
            resolved_kernels.record_single_scale(state[0], regime.F, dt, n, np.empty((1, regime.K)))
        else:
            step = kernels.advance_two_scale if fills_lanes(regime) else kernels.advance_three_scale
            step(*state, regime.F, *parameters(regime), flux, dt, n, mode, piece)
        report(n)


def _record(
    regime: Regime, state: State, every: int, dt: float, out: list[NDArray], report: Callable[[int], None]
) -> None:
    """Sample a state, advancing it, into the X, U, Y and Z of one trajectory."""
    require_reach()
    step = max(1, _CHUNK // every)
    flux = regime.coupling == "flux"
    state = _parts(regime, state)
    if _lacks_z(regime):
        out = [*out, np.empty((len(out[2]), regime.K, regime.J, 0))]
    for start in range(0, len(out[0]), step):
        pieces = [array[start : start + step] for array in out]
        if regime.scales == 1:
            resolved_kernels.record_single_scale(*state, regime.F, dt, every, pieces[0])
        else:
            record = kernels.record_two_scale if fills_lanes(regime) else kernels.record_three_scale
            record(*state, regime.F, *parameters(regime), flux, dt, every, *pieces)
        report(every * len(pieces[0]))


def in_threads(work: Callable[[int], None], n: int, threads: int | None) -> None:
    """Call work(0) .. work(n - 1), in threads (the kernels release the GIL); the first error is raised."""
    threads = min(n, threads or available_processors())
    if threads <= 1:
        for i in range(n):
            work(i)
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            list(pool.map(work, range(n)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def available_processors() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
