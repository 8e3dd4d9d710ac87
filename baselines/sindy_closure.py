"""SINDy as a closure: one sparse equation for U_k, found as the governing equations are (needs the sindy extra)."""

import l96bench


def model(task: l96bench.Task, seed: int) -> l96bench.EquationRegressor:
    """The 56 monomials of degree 3 in five points, without those that make less than a twentieth of U."""
    from pysindy import STLSQ

    search = STLSQ(threshold=0.05, alpha=1e-8)
    library = l96bench.RingLibrary(degree=3, radius=2)
    return l96bench.EquationRegressor(l96bench.SparseRegression(search, library, symmetric=True, max_rows=320_000))


entry = l96bench.Entry(
    name="SINDy closure",
    kind="equations",
    inputs="X_{k-2..k+2}",
    make=model,
    source="Brunton et al. 2016, PNAS 113, 3932-3937; Zanna and Bolton 2020, Geophys. Res. Lett. 47, e2020GL088376",
    description="Thresholded least squares of U_k on the 56 monomials of degree 3 in five points; about 14 stay.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
