"""No closure: the resolved model alone, U = 0. The floor of every online score."""

import l96bench

entry = l96bench.Entry(
    name="no closure",
    kind="constant",
    inputs="none",
    make=lambda task, seed: l96bench.NoClosure(),
    description="The resolved model alone, U = 0.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
