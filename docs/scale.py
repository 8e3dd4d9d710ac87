"""What a sweep of 10,000 models on 100 workers costs, as docs/scale.md. Run by `make scale`.

What was measured is docs/measured/scale.json; `--again` measures anew. All seconds are of processor time, so that other
work on the machine does not count.
"""

import json
import math
import operator
import os
import pickle
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from measured import measured

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
"""Units without work, by which the driver is measured."""
ROWS = 20
"""Rows of five seeds and two tasks that it makes of results."""
DURATION, SPIN_UP = 200.0, 100.0
"""MTU of a simulation whose speed is measured."""


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of a call, here and in processes that end within it, and what it gives."""
    start = sum(os.times()[:4])
    value = function()
    return sum(os.times()[:4]) - start, value


def unit(name: str, *ids: str) -> l96bench.Unit:
    """The unit of an entry's first seed on some tasks."""
    tasks = tuple(map(l96bench.make_task, ids))
    return l96bench.Unit(name, l96bench.find_code(name), tasks, tuple(f"key {i}" for i in range(len(ids))), 0)


def costs() -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What each unit costs, and the texts of the results of the network."""
    found, texts = [], {}
    for name, id in UNITS:
        one = unit(name, id)
        l96bench.make_task(id).prepare(progress=False)
        l96bench.run_unit(
            unit("linear" if "increment" not in id and "recovery" not in id else name, id)
        )  # compiles and reads
        total, results = seconds(partial(l96bench.run_unit, one))
        (text,) = results.values()
        if name == "stencil_network":
            texts[id] = text
        training = l96bench.Result.model_validate_json(text).cost.training_seconds or 0.0
        sizes = {"sent": len(pickle.dumps(one)), "returned": len(text.encode())}
        found.append({"entry": name, "task": id, "training": training, "scoring": total - training, **sizes})
    return found, texts


def data() -> dict[str, float]:
    """Seconds of one core for a simulation; the MTU that a regime's data are made of, and their bytes."""
    regime = l96bench.get_regime(REGIME)
    took, _ = seconds(lambda: l96bench.simulate(regime, DURATION, seed=0, store_fast=False, progress=False, threads=1))
    splits, cases = l96bench.splits_of(regime), l96bench.Cases()
    simulated = sum(each.n_trajectories * (each.duration + SPIN_UP) for each in splits if each.name != "perfect")
    simulated += len(cases) * cases.members * (cases.memory + max(cases.leads))
    size = sum(path.stat().st_size for path in (l96bench.cache_folder() / "v1" / REGIME).rglob("*.npy"))
    return {"took": took, "simulated": simulated, "bytes": size}


def driver(sent: int, texts: dict[str, str]) -> dict[str, float]:
    """Seconds that a unit costs this process, the driver: to send and to collect it, and to keep what it found.

    Scheduler and workers are processes of their own; the workers have nothing to do but to return a text.
    """
    from distributed.deploy.subprocess import SubprocessCluster

    returned = sum(len(text.encode()) for text in texts.values())
    work = operator.methodcaller("__mul__", math.ceil(returned / sent))
    with (
        patch.dict(os.environ, {"DASK_DISTRIBUTED__WORKER__DAEMON": "False"}),
        tempfile.TemporaryDirectory() as folder,
        SubprocessCluster(
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            n_workers=2,
            threads_per_worker=1,
            worker_kwargs={"local_directory": folder},
        ) as cluster,
    ):
        items = ["x" * sent] * TRIVIAL
        list(l96bench.in_parallel(work, items[:20], dask=cluster.scheduler_address))
        sending, _ = seconds(lambda: list(l96bench.in_parallel(work, items, dask=cluster.scheduler_address)))
    return {"sending": sending / TRIVIAL, "keeping": bookkeeping(texts)}


def bookkeeping(texts: dict[str, str]) -> float:
    """Seconds a unit costs the driver to keep its results and to make a row of every five."""
    five = [[with_seed(text, seed) for seed in range(5)] for text in texts.values()]
    with tempfile.TemporaryDirectory() as folder:

        def keep() -> None:
            for seeds in five * ROWS:
                paths = [Path(folder) / f"{seed}.json" for seed in range(5)]
                for path, text in zip(paths, seeds, strict=True):
                    path.write_text(text, encoding="utf-8")
                l96bench.combine_seeds([l96bench.Result.read(path) for path in paths]).write(Path(folder) / "row.json")

        keep()
        took, _ = seconds(keep)
    return took / 5 / ROWS


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

Made by `make scale` (`docs/scale.py`): every number is measured on one machine, in seconds of a processor, with one
thread a process, or computed from such numbers.

## Commands

```sh
# on one machine
dask scheduler --port 8786
# on each of the others, with as many workers as processors
DASK_DISTRIBUTED__WORKER__DAEMON=False dask worker tcp://HOST:8786 --nworkers 16 --nthreads 1
# anywhere: all baselines (or make baselines DASK=tcp://HOST:8786), one's own models, the data alone
l96bench run --all --dask tcp://HOST:8786
l96bench run models/*.py --dask tcp://HOST:8786
l96bench sweep stencil_network --option radius=1,2,3 --dask tcp://HOST:8786
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


def measure() -> dict[str, Any]:
    """All that is measured."""
    units, texts = costs()
    return {"units": units, "data": data(), "driver": driver(len(pickle.dumps(unit("stencil_network", *texts))), texts)}


def page() -> str:
    """The page as Markdown."""
    found = measured("scale", measure)
    units, about, own = found["units"], found["data"], found["driver"]
    networks = [each for each in units if each["entry"] == "stencil_network"]
    cost = networks[0]["training"] + sum(each["scoring"] for each in networks)
    cheap = sum(each["training"] + each["scoring"] for each in units if each["entry"] == "quartic")
    sent, returned = max(each["sent"] for each in networks), sum(each["returned"] for each in networks)
    making = about["took"] * about["simulated"] / (DURATION + SPIN_UP)
    serial = own["sending"] + own["keeping"]
    header = ("entry", "task", "training (s)", "scoring (s)", "bytes sent", "bytes of the result")
    share, limit = MODELS / WORKERS * cost, cost / serial
    rows = [
        (
            *(each["entry"], each["task"], f"{each['training']:.2f}", f"{each['scoring']:.2f}"),
            *(f"{each['sent']:,}", f"{each['returned']:,}"),
        )
        for each in units
    ]
    parts = [
        HEAD.rstrip(),
        "## Cost of a unit",
        "Scoring offline includes training on three smaller budgets.",
        l96bench.markdown_table(header, rows, left=header[:2]),
        "## Data",
        f"The data of `{REGIME}` are {about['bytes'] / 1e6:.0f} MB, and {about['simulated']:,.0f} MTU of simulation: "
        f"{making:.0f} s on one core, from {about['took']:.2f} s for {DURATION + SPIN_UP:g} MTU. Each cache makes them "
        "once; they are not moved. Workers on one machine, or on a shared disk, share a cache: set `L96BENCH_CACHE` "
        "to the same folder for them. One makes a data set, the others wait for it.",
        "## The driver",
        f"{TRIVIAL:,} units without work, of the size of a network's ({sent:,} bytes there, {returned:,} back), whose "
        f"scheduler and two workers are other processes: {1e3 * own['sending']:.1f} ms of the driver's processor each. "
        f"Keeping the results, and making a row of every five seeds, takes {1e3 * own['keeping']:.1f} ms more: "
        f"{1.0 / serial:.0f} units a second.",
        "## The sweep",
        plan(cost, making, serial, sent, returned),
        "## Where it stops scaling",
        f"- *The driver*: a unit of {cost:.1f} s keeps it busy for {1e3 * serial:.1f} ms. About {limit:,.0f} workers "
        f"saturate it; with {WORKERS} it is busy {100.0 * WORKERS / limit:.0f} % of the time. Cheap units meet "
        f"this limit first: quartics, of {cheap:.1f} s, at {cheap / serial:,.0f} workers.\n"
        f"- *Data*: {making:.0f} s at the start of every cache, {100.0 * making / (making + share):.0f} % of the time "
        f"of {WORKERS} workers that share nothing. Moving them instead would be {WORKERS * about['bytes'] / 1e9:.0f} "
        "GB.\n"
        "- *The longest unit*: those that train for minutes begin first; the end is ragged by the last ones, here "
        f"{cost:.0f} s of {share / 60:.0f} min.",
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
