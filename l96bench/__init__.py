"""l96bench: standard tasks, baselines and a leaderboard for machine-learned closures of the Lorenz-96 system."""

import os

import lazy_loader

from l96bench.envs.registration import register as _register
from l96bench.extras import watch_imports as _watch_imports

# Before anything imports onnxruntime, which would queue an id of the machine and paths for its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
_ROOMS = {"assimilation", "diagnostics", "envs", "equations", "estimators", "metrics", "tasks"}
"""The rooms with a front door of their own, such as `l96bench.estimators`."""
__all__ = [name for name in __all__ if name not in _ROOMS]

_watch_imports()
_register()
