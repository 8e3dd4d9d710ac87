"""The questions: every task is a frozen dataclass with data, a score and references, made by `make_task`."""
