/* The two-scale truth of l96bench in C, operation for operation: the yardstick of the Numba kernel, and a check of
 * its bits. Compile with: gcc -O3 -march=native -ffp-contract=off -shared -fPIC twin.c -o twin.so
 */
#include <stdlib.h>
#include <string.h>

static void wrap(double *ring, long n) {
    ring[0] = ring[n];
    ring[1] = ring[n + 1];
    ring[n + 2] = ring[2];
    ring[n + 3] = ring[3];
}

static void coupling(const double *restrict y, long K, long J, double scale, double *restrict U) {
    for (long k = 0; k < K; k++) {
        const double *row = y + k * J;
        double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        long i = 0;
        for (; i + 4 <= J; i += 4) {
            s0 += row[i];
            s1 += row[i + 1];
            s2 += row[i + 2];
            s3 += row[i + 3];
        }
        double total = (s0 + s1) + (s2 + s3);
        for (; i < J; i++) total += row[i];
        U[k] = -(scale * total);
    }
}

static void slow(const double *restrict x, const double *restrict U, double F, long K, double *restrict out) {
    out[0] = x[K - 1] * (x[1] - x[K - 2]) - x[0] + F + U[0];
    out[1] = x[0] * (x[2] - x[K - 1]) - x[1] + F + U[1];
    for (long k = 2; k < K - 1; k++) out[k] = x[k - 1] * (x[k + 1] - x[k - 2]) - x[k] + F + U[k];
    out[K - 1] = x[K - 2] * (x[0] - x[K - 3]) - x[K - 1] + F + U[K - 1];
}

/* Pads the ring and gives dx, and forcing for the fast ring, at one stage. */
static void couple(double *restrict ring, const double *restrict x, long K, long J, double F, double hcb,
                   double *restrict U, double *restrict dx, double *restrict forcing) {
    wrap(ring, K * J);
    coupling(ring + 2, K, J, hcb, U);
    slow(x, U, F, K, dx);
    for (long k = 0; k < K; k++) {
        const double value = hcb * x[k];
        for (long j = 0; j < J; j++) forcing[k * J + j] = value;
    }
}

#define SLOPE(y) (forcing[m] - cb * (y)[m + 1] * ((y)[m + 2] - (y)[m - 1]) - c * (y)[m])

static void stage(const double *restrict y, const double *restrict forcing, double cb, double c, long M,
                  const double *start, double *restrict out, double step) {
    for (long m = 0; m < M; m++) out[m] = start[m] + step * SLOPE(y);
}

void advance(double *x, double *y, long K, long J, double F, double hcb, double cb, double c, double dt, long n_steps) {
    const long M = K * J;
    double *work = malloc(sizeof(double) * (5 * K + 5 * (M + 4)));
    double *z = work, *r = z + M + 4, *s = r + M + 4, *t = s + M + 4, *forcing = t + M + 4;
    double *xr = forcing + M + 4, *xs = xr + K, *xt = xs + K, *dx = xt + K, *U = dx + K;
    const double half = 0.5 * dt, sixth = dt / 6.0, third = 1.0 / 3.0;
    memcpy(z + 2, y, sizeof(double) * M);
    for (long i = 0; i < n_steps; i++) {
        couple(z, x, K, J, F, hcb, U, dx, forcing);
        stage(z + 2, forcing, cb, c, M, z + 2, r + 2, half);
        for (long k = 0; k < K; k++) xr[k] = x[k] + half * dx[k];
        couple(r, xr, K, J, F, hcb, U, dx, forcing);
        stage(r + 2, forcing, cb, c, M, z + 2, s + 2, half);
        for (long k = 0; k < K; k++) xs[k] = x[k] + half * dx[k];
        couple(s, xs, K, J, F, hcb, U, dx, forcing);
        stage(s + 2, forcing, cb, c, M, z + 2, t + 2, dt);
        for (long k = 0; k < K; k++) xt[k] = x[k] + dt * dx[k];
        couple(t, xt, K, J, F, hcb, U, dx, forcing);
        double *restrict out = z + 2;
        const double *restrict first = r + 2, *restrict second = s + 2, *restrict v = t + 2;
        for (long m = 0; m < M; m++)
            out[m] = (first[m] + 2.0 * second[m] + v[m] - out[m]) * third + sixth * SLOPE(v);
        for (long k = 0; k < K; k++) x[k] = (xr[k] + 2.0 * xs[k] + xt[k] - x[k]) * third + sixth * dx[k];
    }
    memcpy(y, z + 2, sizeof(double) * M);
    free(work);
}
