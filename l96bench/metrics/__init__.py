"""How good a closure is: pure functions over arrays, for points, ensembles, climates and their uncertainty."""
