/* The two-scale truth of l96bench in C, operation for operation: the yardstick of the Numba kernel, and a check of
 * its bits. `advance` goes along the ring as it lies in memory; `advance_in_lanes` has the layout of the kernel, four
 * pieces of the ring side by side; `peak` is what the processor can do at all.
 * Compile with: gcc -O3 -march=native -ffp-contract=off -shared -fPIC twin.c -o twin.so
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

#define WIDTH 4
typedef double lanes __attribute__((vector_size(8 * WIDTH)));

static lanes turn_left(lanes v) { return (lanes){v[1], v[2], v[3], v[0]}; }
static lanes turn_right(lanes v) { return (lanes){v[3], v[0], v[1], v[2]}; }

/* Closes the ring, and gives dx and one row of forcing for each sector of a lane, at one stage. */
static void couple_in_lanes(lanes *restrict ring, const double *restrict x, long K, long J, double F, double hcb,
                            double *restrict U, double *restrict dx, lanes *restrict forcing) {
    const long sectors = K / WIDTH, n = sectors * J;
    ring[n] = turn_left(ring[0]);
    ring[n + 1] = turn_left(ring[1]);
    for (long r = 0; r < sectors; r++) {
        const lanes *row = ring + r * J;
        lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
        long i = 0;
        for (; i + 4 <= J; i += 4) {
            s0 += row[i];
            s1 += row[i + 1];
            s2 += row[i + 2];
            s3 += row[i + 3];
        }
        lanes total = (s0 + s1) + (s2 + s3);
        for (; i < J; i++) total += row[i];
        for (long lane = 0; lane < WIDTH; lane++) {
            U[lane * sectors + r] = -(hcb * total[lane]);
            forcing[r][lane] = hcb * x[lane * sectors + r];
        }
    }
    slow(x, U, F, K, dx);
}

/* Goes along the ring with the neighbours of a row in registers; `then` makes the new row i of the slope k. */
#define ALONG(ring, then)                                                                                 \
    {                                                                                                     \
        lanes before = turn_right((ring)[n - 1]), here = (ring)[0], after = (ring)[1];                    \
        for (long sector = 0; sector < sectors; sector++) {                                               \
            for (long i = sector * J; i < (sector + 1) * J; i++) {                                        \
                const lanes second = (ring)[i + 2];                                                       \
                const lanes k = forcing[sector] - cb * after * (second - before) - c * here;              \
                then;                                                                                     \
                before = here, here = after, after = second;                                              \
            }                                                                                             \
        }                                                                                                 \
    }

void advance_in_lanes(double *x, double *y, long K, long J, double F, double hcb, double cb, double c, double dt,
                      long n_steps) {
    const long sectors = K / WIDTH, n = sectors * J, size = n + 2;
    lanes *z = aligned_alloc(sizeof(lanes), sizeof(lanes) * (4 * size + sectors));
    lanes *restrict r = z + size, *restrict s = r + size, *restrict t = s + size, *forcing = t + size;
    double *xr = malloc(sizeof(double) * 5 * K), *xs = xr + K, *xt = xs + K, *dx = xt + K, *U = dx + K;
    const double half = 0.5 * dt, sixth = dt / 6.0, third = 1.0 / 3.0;
    for (long lane = 0; lane < WIDTH; lane++)
        for (long i = 0; i < n; i++) z[i][lane] = y[lane * n + i];
    for (long step = 0; step < n_steps; step++) {
        couple_in_lanes(z, x, K, J, F, hcb, U, dx, forcing);
        ALONG(z, r[i] = z[i] + half * k)
        for (long k = 0; k < K; k++) xr[k] = x[k] + half * dx[k];
        couple_in_lanes(r, xr, K, J, F, hcb, U, dx, forcing);
        ALONG(r, s[i] = z[i] + half * k)
        for (long k = 0; k < K; k++) xs[k] = x[k] + half * dx[k];
        couple_in_lanes(s, xs, K, J, F, hcb, U, dx, forcing);
        ALONG(s, t[i] = z[i] + dt * k)
        for (long k = 0; k < K; k++) xt[k] = x[k] + dt * dx[k];
        couple_in_lanes(t, xt, K, J, F, hcb, U, dx, forcing);
        ALONG(t, z[i] = (r[i] + 2.0 * s[i] + here - z[i]) * third + sixth * k)
        for (long k = 0; k < K; k++) x[k] = (xr[k] + 2.0 * xs[k] + xt[k] - x[k]) * third + sixth * dx[k];
    }
    for (long lane = 0; lane < WIDTH; lane++)
        for (long i = 0; i < n; i++) y[lane * n + i] = z[i][lane];
    free(z);
    free(xr);
}

/* Returns a number made of 2 * CHAINS * WIDTH * rounds additions and multiplications, as many independent of each other
 * as keep every unit of the processor busy, none of which touches memory.
 */
#define CHAINS 12
double peak(long rounds) {
    lanes sums[CHAINS], products[CHAINS], total = {0};
    for (long i = 0; i < CHAINS; i++) {
        sums[i] = (lanes){i, 1, 2, 3};
        products[i] = (lanes){1, 1, 1, 1};
    }
    const lanes term = {1e-9, 2e-9, 3e-9, 4e-9}, factor = term + 1.0;
    for (long round = 0; round < rounds; round++) {
#pragma GCC unroll 12
        for (long i = 0; i < CHAINS; i++) {
            sums[i] += term;
            products[i] *= factor;
        }
    }
    for (long i = 0; i < CHAINS; i++) total += sums[i] + products[i];
    return total[0] + total[1] + total[2] + total[3];
}
