"""The datasheet of the data, as docs/datasheet.md. Run by `make figures`."""

from itertools import groupby
from pathlib import Path

import l96bench
from l96bench.tasks import Task, families

PAGE = Path(__file__).with_name("datasheet.md")
TEXT = """# Datasheet

What the data are, how they are made and what they are good for, by the questions of Gebru et al. 2021, "Datasheets
for Datasets" (doi:10.1145/3458723). Made by `make figures` (`docs/datasheet.py`) from the registries; what the splits
hold is in [definitions.md](definitions.md#the-data).

## Motivation

The data are made for one purpose: to compare machine-learned closures of the Lorenz-96 system, data assimilation with
them, and methods that recover equations, under equal conditions. Studies that simulate their own data, each with
other parameters, targets and splits, have numbers that cannot be compared. {creator} made them.

## Composition

Every number comes from a simulation: there are no people, no measurements of nature and nothing confidential in the
data, and nothing is missing but what a simulated observing network does not observe. The data are a sample of what
the equations can give; more can be drawn at will. {n_tasks} tasks of {n_families} families read {n_arrays} arrays of
float64, each with a recorded SHA-256 digest:

{table_of_families}

Tasks share arrays: a trajectory of a regime serves offline and online tasks. Regimes have training, validation and
test trajectories from independent random states, apart from `train-fine`, which samples the trajectory of `train`
more often:

{table_of_regimes}

MTU are those of all different trajectories; MB are those in memory, all splits together. No errors are known. The
data depend on no other data set.

## Collection

The equations are integrated by classical RK4 in strict IEEE arithmetic, from random initial states and after a
spin-up; step, seeds and networks are in [definitions.md](definitions.md#the-systems). Regimes have the parameters of
published studies, or change one thing in them; `l96bench.get_regime(id).source` cites each. The systems of
`unseen-physics` and `equation-recovery` are drawn from ranges that definitions.md gives, and the archives of
`da-increment` are cycles of an ensemble filter. Every random number has a recorded seed, so that any machine makes
the same bits: `l96bench data make` makes them, `l96bench data verify` makes them anew and compares the digests.

## Preprocessing

None: values are neither scaled, filtered nor rounded. U is computed from the fast variables at the time of the
sample, not estimated from tendencies. The fast variables themselves are not kept; `l96bench.simulate` gives them.
Observations of X are the true X plus normal errors of a recorded seed.

## Uses

For the tasks of this package, and for teaching. Results here say how methods compare on Lorenz-96; they do not show
that a method works in a climate model, whose closures have noise, biases and costs that this system lacks. The test
data are public, and anyone can make U with the simulator: an answer that can be looked up ranks on the board only
when it is [trained there or sealed](submissions.md).

## Distribution

The package holds the program and the digests, not the arrays; they are made on each machine, and kept in a cache. To
hand them on,

    pip install "l96bench[netcdf]"
    l96bench data export subgrid-forcing/wilks-f20-v1 folder

writes what the task's `to_xarray` holds, which leaves out the climates and forecasts of online tasks: a NetCDF 4 file
a split, compressed without loss, with the CF conventions, and `croissant.json`, a Croissant description with the
SHA-256 of each file, to which whoever publishes the files adds `datePublished` and their address. In the files `time`
is `model_time`, since CF keeps the former for calendars; the attribute `sha256` of each variable is its
`l96bench.array_digest`, and `recorded_digests` are those of the package, in which a single trajectory has a first
axis of length 1. Code and data are under the license {license}.

## Maintenance

The developers maintain the data in this repository; errors are reported as its issues, vulnerabilities as
[SECURITY.md](../SECURITY.md) says. Data are never corrected in place: what would move a digest or a score is a new
version of the task, and [CHANGELOG.md](../CHANGELOG.md) says why. Others add families and regimes of their own [from
packages of their own](howto/task.md).
"""


def own_families() -> list[list[Task]]:
    """The tasks of each of this package's families."""
    made = (l96bench.make_task(id) for id in l96bench.list_tasks())
    tasks = (task for task in made if type(task).__module__.startswith("l96bench."))
    return [list(group) for _, group in groupby(tasks, lambda task: task.family)]


def digests(tasks: list[Task]) -> set[str]:
    """The arrays that tasks read."""
    return {key for task in tasks for key in task.data_digests}


def table_of_families(grouped: list[list[Task]]) -> str:
    """A row a family."""
    header = ("family", "tasks", "arrays", "models are fitted to", "test data can be drawn anew")
    rows = [
        (
            *(l96bench.Markdown(f"`{tasks[0].family}`"), str(len(tasks)), str(len(digests(tasks)))),
            *(tasks[0].training_set, "yes" if tasks[0].redrawn else "no"),
        )
        for tasks in grouped
    ]
    return l96bench.markdown_table(header, rows, left=("family", "models are fitted to", "test data can be drawn anew"))


def table_of_regimes() -> str:
    """A row a regime."""
    rows = []
    for id in families()["subgrid-forcing"].regime_ids():
        regime, splits = l96bench.get_regime(id), l96bench.splits_of(id)
        trajectories = {each.stream: each.n_trajectories * each.duration for each in splits if each.name != "perfect"}
        members = {"perfect": l96bench.Cases().members}
        numbers = sum(
            each.n_trajectories * round(each.duration / each.interval) * len(each.arrays) * members.get(each.name, 1)
            for each in splits
        )
        parameters = (str(regime.K), str(regime.J), f"{regime.F:g}", f"{regime.h:g}", f"{regime.b:g}", f"{regime.c:g}")
        size = (f"{sum(trajectories.values()):,.0f}", f"{numbers * regime.K * 8 / 1e6:,.0f}")
        rows.append((l96bench.Markdown(f"`{id}`"), *parameters, *size))
    return l96bench.markdown_table(("regime", *"KJFhbc", "MTU", "MB"), rows, left=("regime",))


def page() -> str:
    """The page as Markdown."""
    from importlib.metadata import metadata

    grouped, told = own_families(), metadata("l96bench")
    return TEXT.format(
        creator=told["Author"],
        license=told["License-Expression"],
        n_tasks=sum(map(len, grouped)),
        n_families=len(grouped),
        n_arrays=len(set().union(*map(digests, grouped))),
        table_of_families=table_of_families(grouped),
        table_of_regimes=table_of_regimes(),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
