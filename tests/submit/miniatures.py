"""Preloaded by the workers of the tests' cluster: there, as in the tests, `make_task` gives miniatures."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from l96bench.tasks import registry

spec = spec_from_file_location("miniatures_of_the_tests", Path(__file__).parents[1] / "conftest.py")
assert spec is not None
assert spec.loader is not None
conftest = sys.modules[spec.name] = module_from_spec(spec)
spec.loader.exec_module(conftest)
registry._TASKS = conftest.minis()
