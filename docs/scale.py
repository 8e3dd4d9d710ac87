"""What a sweep of 10,000 models on 100 workers costs, measured, as docs/scale.md. Run by `make scale`."""

import json
import math
import operator
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import l96bench

PAGE = Path(__file__).with_suffix(".md")
REGIME = "wilks-f20"
MODELS, WORKERS = 10_000, 100
UNITS = (
    ("quartic", f"subgrid-forcing/{REGIME}-v1"),
    ("quartic", f"online-rollout/{REGIME}-v2"),
    ("stencil_network", f"subgrid-forcing/{REGIME}-v1"),
    ("stencil_network", f"online-rollout/{REGIME}-v2"),
    ("da_linear", "da-increment/dense-v1"),
    ("er_least_squares", "equation-recovery/single-coarse-v1"),
)
"""What the cost of a unit is measured on: one entry and one task each."""
TRIVIAL = 1000
"""Units without work, by which the driver and the scheduler are measured."""


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """How long a call takes, and what it gives."""
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def unit(name: str, *tasks: str) -> l96bench.Unit:
    """The unit of an entry's first seed on some tasks."""
    return l96bench.Unit(name, l96bench.find_code(name), tasks, tuple(f"key {i}" for i in range(len(tasks))), 0)


def costs() -> tuple[list[tuple[str, ...]], dict[tuple[str, str], float], dict[str, str]]:
    """Rows of the cost of each unit; its seconds; and the texts of the results of the network."""
    rows, spent, texts = [], {}, {}
    for name, id in UNITS:
        one = unit(name, id)
        l96bench.make_task(id).prepare(progress=False)
        l96bench.run_unit(
            unit("linear" if "increment" not in id and "recovery" not in id else name, id)
        )  # compiles and reads
        total, results = seconds(lambda one=one: l96bench.run_unit(one))
        (text,) = results.values()
        training = l96bench.Result.model_validate_json(text).cost.training_seconds or 0.0
        spent[name, id] = total
        if name == "stencil_network":
            texts[id] = text
        sizes = (f"{len(pickle.dumps(one)):,}", f"{len(text.encode()):,}")
        rows.append((name, id, f"{training:.2f}", f"{total - training:.2f}", *sizes))
    return rows, spent, texts


def data() -> tuple[float, float, str]:
    """Seconds of one core to make a regime's data, from the measured speed; their bytes; and a sentence about both."""
    regime = l96bench.get_regime(REGIME)
    duration = 200.0
    took, _ = seconds(lambda: l96bench.simulate(regime, duration, seed=0, store_fast=False, progress=False, threads=1))
    splits, cases = l96bench.splits_of(regime), l96bench.Cases()
    simulated = sum(each.n_trajectories * (each.duration + 100.0) for each in splits if each.name != "perfect")
    simulated += len(cases) * cases.members * (cases.memory + max(cases.leads))
    whole = took * simulated / (duration + 100.0)
    size = sum(path.stat().st_size for path in (l96bench.cache_folder() / "v1" / REGIME).rglob("*.npy"))
    text = (
        f"The data of `{REGIME}` are {size / 1e6:.0f} MB, and {simulated:,.0f} MTU of simulation: {whole:.0f} s on one "
        f"core, from {took:.2f} s for {duration + 100.0:g} MTU. Each cache makes them once; they are not moved. "
        "Workers on one machine, or on a shared disk, share a cache: set `L96BENCH_CACHE` to the same folder for them. "
        "One makes a data set, the others wait for it."
    )
    return whole, size, text


def overhead(sent: int, returned: int) -> float:
    """Seconds a unit costs the driver, the scheduler and a worker when there is nothing to compute."""
    import dask
    from distributed import LocalCluster

    items, repeat = ["x" * sent] * TRIVIAL, math.ceil(returned / sent)
    with (
        dask.config.set({"distributed.worker.daemon": False}),
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            protocol="tcp",
            dashboard_address="127.0.0.1:0",
            local_directory=folder,
        ) as cluster,
    ):
        work = operator.methodcaller("__mul__", repeat)
        list(l96bench.in_parallel(work, items[:20], dask=cluster.scheduler_address))
        took, _ = seconds(lambda: list(l96bench.in_parallel(work, items, dask=cluster.scheduler_address)))
    return took / TRIVIAL


def bookkeeping(texts: dict[str, str]) -> float:
    """Seconds a unit costs the driver to keep its results and to make a row of every five."""
    five = [[with_seed(text, seed) for seed in range(5)] for text in texts.values()]
    with tempfile.TemporaryDirectory() as folder:

        def keep() -> None:
            for seeds in five:
                paths = [Path(folder) / f"{seed}.json" for seed in range(5)]
                for path, text in zip(paths, seeds, strict=True):
                    path.write_text(text, encoding="utf-8")
                l96bench.combine_seeds([l96bench.Result.read(path) for path in paths]).write(Path(folder) / "row.json")

        keep()
        took, _ = seconds(keep)
    return took / 5


def with_seed(text: str, seed: int) -> str:
    """The text of a result as that of another training seed."""
    fields = json.loads(text)
    fields["model"]["seeds"], fields["score"]["seeds"][0]["seed"] = [seed], seed
    return json.dumps(fields)


def plan(cost: float, making: float, serial: float, sent: float, returned: float) -> str:
    """The sweep, by workers."""
    rows = []
    for workers in (1, 10, WORKERS, 300, 1000, 10_000):
        computing = making + math.ceil(MODELS / workers) * cost
        wall = max(computing, MODELS * serial + making + cost)
        efficiency = MODELS * cost / workers / wall
        rows.append((f"{workers:,}", f"{computing / 3600:.2f}", f"{wall / 3600:.2f}", f"{100.0 * efficiency:.0f} %"))
    megabytes = [MODELS * size / 1e6 for size in (sent, returned)]
    caption = (
        f"{MODELS:,} networks, each trained once and scored offline and online: {MODELS * cost / 3600:.0f} hours of "
        f"one core. {megabytes[0]:.0f} MB go to the workers and {megabytes[1]:.0f} MB come back."
    )
    header = ("workers", "workers alone (h)", "with the driver (h)", "efficiency")
    return f"{caption}\n\n" + l96bench.markdown_table(header, rows)


HEAD = """# A sweep of 10,000 models on 100 workers

Made by `make scale` (`docs/scale.py`): every number is measured on the machine that made this page, with one thread a
process, or computed from such numbers.

## Commands

```sh
# on one machine
dask scheduler --port 8786
# on each of the others, with as many workers as processors
DASK_DISTRIBUTED__WORKER__DAEMON=False dask worker tcp://HOST:8786 --nworkers 16 --nthreads 1
# anywhere: all baselines (or make baselines DASK=tcp://HOST:8786), one's own models, the data alone
l96bench run --all --dask tcp://HOST:8786
l96bench run models/*.py --dask tcp://HOST:8786
l96bench data make --dask tcp://HOST:8786
```

A *unit* is an entry, a regime and a training seed: trained once, scored in every family. A script's text travels with
its units, so that workers need nothing but l96bench and the libraries; a module that workers do not have travels too,
if it is one file. A worker makes the data that it lacks: their bits are the same everywhere, and checked. What a unit
finds goes back to the driver, which alone writes it into its cache and its folder of results.

- *A worker that dies*: what it was doing is done again by another. A result is collected once, under its fingerprint.
- *A unit that ends its process, or exceeds `--time-limit`,* is a failure of that unit alone: a worker runs units in a
  process beside it.
- *A driver that dies or is stopped*: what is finished is kept; what was not begun is cancelled; what was running is
  finished by its worker and thrown away. The same command carries on.
- *A worker with other code or other versions of NumPy, torch, ...* is refused, because its bits may differ; so is one
  with several threads, because libraries are seeded by process.
- Results are the same to the last bit as those of local processes; only the measured seconds differ. This is tested on
  a cluster of which one worker is killed (`tests/submissions/test_cluster.py`).
"""


def main() -> None:
    """Write docs/scale.md."""
    rows, spent, texts = costs()
    sent = len(pickle.dumps(unit("stencil_network", *texts)))
    returned = sum(len(text.encode()) for text in texts.values())
    training = l96bench.Result.model_validate_json(next(iter(texts.values()))).cost.training_seconds or 0.0
    cost = sum(spent["stencil_network", id] for id in texts) - training
    cheap = sum(spent["quartic", id] for id in texts)
    making, size, about_data = data()
    network, driver = overhead(sent, returned), bookkeeping(texts)
    serial = network + driver
    header = ("entry", "task", "training (s)", "scoring (s)", "bytes sent", "bytes of the result")
    share, limit = MODELS / WORKERS * cost, cost / serial
    parts = [
        HEAD.rstrip(),
        "## Cost of a unit",
        "Scoring offline includes training on three smaller budgets.",
        l96bench.markdown_table(header, rows, left=header[:2]),
        "## Data",
        about_data,
        "## Driver and scheduler",
        f"{TRIVIAL:,} units without work, of the size of a network's ({sent:,} bytes there, {returned:,} back), on "
        f"two workers that share the cores with scheduler and driver: {1e3 * network:.1f} ms each. Keeping the "
        f"results, and making a row of every five seeds, takes {1e3 * driver:.1f} ms more: "
        f"{1.0 / serial:.0f} units a second.",
        "## The sweep",
        plan(cost, making, serial, sent, returned),
        "## Where it stops scaling",
        f"- *The driver*: a unit of {cost:.1f} s keeps it busy for {1e3 * serial:.1f} ms. About {limit:,.0f} workers "
        f"saturate it; with {WORKERS} it is busy {100.0 * WORKERS / limit:.0f} % of the time. Cheap units meet "
        f"this limit first: quartics, of {cheap:.1f} s, at {cheap / serial:,.0f} workers.\n"
        f"- *Data*: {making:.0f} s at the start of every cache, {100.0 * making / (making + share):.0f} % of the time "
        f"of {WORKERS} workers that share nothing. Moving them instead would be {WORKERS * size / 1e9:.0f} GB.\n"
        "- *The longest unit*: those that train for minutes begin first; the end is ragged by the last ones, here "
        f"{cost:.0f} s of {share / 60:.0f} min.",
    ]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
