"""The book's local network, trained as there (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network of the book, local",
    kind="network",
    inputs="X_k",
    make=lambda task, seed: l96bench.LocalRegressor(
        l96bench.TorchRegressor(
            hidden=(16, 16),
            activation="relu",
            epochs=15,
            batch_size=2000,
            learning_rate=0.003,
            schedule="constant",
            standardize=False,
            random_state=seed,
        ),
        radius=0,
    ),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Balwada et al. 2024, J. Open Source Educ., doi:10.21105/jose.00241, chapter on offline training",
    description="A network 1-16-16-1 with ReLU, trained by Adam at a constant rate on unscaled data, as the book does.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
