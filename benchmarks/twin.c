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

static void tendency(double *restrict ring, const double *restrict x, long K, long J, double F, double hcb, double cb,
                     double c, double *restrict U, double *restrict dx, double *restrict dy) {
    wrap(ring, K * J);
    coupling(ring + 2, K, J, hcb, U);
    slow(x, U, F, K, dx);
    for (long k = 0; k < K; k++) {
        const double forcing = hcb * x[k];
        const double *restrict y = ring + 2 + k * J;
        double *restrict d = dy + k * J;
        for (long j = 0; j < J; j++) d[j] = -cb * y[j + 1] * (y[j + 2] - y[j - 1]) - c * y[j] + forcing;
    }
}

void advance(double *x, double *y, long K, long J, double F, double hcb, double cb, double c, double dt, long n_steps) {
    const long M = K * J;
    double *work = malloc(sizeof(double) * (4 * K + 4 * (M + 8)));
    double *restrict z = work, *restrict s = z + M + 4, *restrict dy = s + M + 4, *restrict ytotal = dy + M;
    double *restrict xs = ytotal + M, *restrict dx = xs + K, *restrict xtotal = dx + K, *restrict U = xtotal + K;
    memcpy(z + 2, y, sizeof(double) * M);
    for (long i = 0; i < n_steps; i++) {
        const double steps[3] = {0.5 * dt, 0.5 * dt, dt};
        for (int stage = 0; stage < 4; stage++) {
            tendency(stage ? s : z, stage ? xs : x, K, J, F, hcb, cb, c, U, dx, dy);
            if (stage == 0) {
                for (long k = 0; k < K; k++) xtotal[k] = dx[k];
                for (long m = 0; m < M; m++) ytotal[m] = dy[m];
            } else if (stage < 3) {
                for (long k = 0; k < K; k++) xtotal[k] += 2.0 * dx[k];
                for (long m = 0; m < M; m++) ytotal[m] += 2.0 * dy[m];
            }
            if (stage < 3) {
                for (long k = 0; k < K; k++) xs[k] = x[k] + steps[stage] * dx[k];
                for (long m = 0; m < M; m++) s[m + 2] = z[m + 2] + steps[stage] * dy[m];
            } else {
                for (long k = 0; k < K; k++) x[k] += dt / 6.0 * (xtotal[k] + dx[k]);
                for (long m = 0; m < M; m++) z[m + 2] += dt / 6.0 * (ytotal[m] + dy[m]);
            }
        }
    }
    memcpy(y, z + 2, sizeof(double) * M);
    free(work);
}
