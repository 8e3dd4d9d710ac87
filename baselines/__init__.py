"""The reference baselines, one script each: also installed as `l96bench.baselines`."""
