"""Preloaded by the workers of the tests' cluster: there, as in the tests, `make_task` gives miniatures."""

from l96bench.tasks import registry
from l96bench.tasks.miniature import miniature

registry._TASKS = {id: miniature(registry.make_task(id)) for id in registry.list_tasks()}
registry.make_task.cache_clear()
