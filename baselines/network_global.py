"""Global network: all points in, all points out, nothing shared around the ring (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, global",
    kind="network",
    inputs="X_{1..K}",
    make=lambda task, seed: l96bench.TorchRegressor(hidden=(128, 128), epochs=40, random_state=seed),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    description="A network 8-128-128-8 of all points in, all points out, with GELU: it knows no ring.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
