"""The tasks as Gymnasium environments, natively batched, for `gymnasium.make` and `make_vec`."""
