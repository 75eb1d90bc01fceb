/* A primal step in the Fourier-domain metric (chemtomo.solvers.metric), fused with the gradient
 * before it and the update after it.
 *
 *     saddle_gradient       gradient of the saddle function, into the buffers of the extrapolations
 *     rows_to_spectrum      real transform along x
 *     columns               transform along z, solve, and back       (without derivatives across slices)
 *     columns_forward, across_slices, columns_backward               (with them)
 *     spectrum_to_rows      inverse transform along x, update of u and w
 *
 * The spectrum is (field, block, frequency along x, z, real and imaginary part, lane); field 0 is u,
 * then the components of w. All slices of a vector are transformed together, so no lane ever waits
 * for another; only `across_slices` has neighbouring frequencies along z in its lanes.
 *
 * GRID_X is even; GRID_X / 2, GRID_Y and GRID_Z are lengths that fft.cl transforms.
 */
#ifndef GRID_X
#define GRID_X 12
#define GRID_Y 1
#define GRID_Z 12
#endif
#if SECOND_ORDER
#define FIELDS (DIMS + 1)
#else
#define FIELDS 1
#endif
#define HALF_X (GRID_X / 2)
#define FREQUENCIES_X (HALF_X + 1)
/* Rows from one frequency along x to the next: odd, so that they do not fall on the same lines of a cache. */
#define COLUMN_ROWS (GRID_Z | 1)

/* Floats from a field's first frequency to the frequency (kx, z) of channel c and this work item's lanes. */
inline size_t spectrum_index(size_t block, int kx, int z, int lane)
{
    return (((block * FREQUENCIES_X + kx) * COLUMN_ROWS + z) * 2) * BLOCK + lane;
}
#define SPECTRUM_FIELD ((size_t)((CHANNELS + PER_BLOCK - 1) / PER_BLOCK) * chunks * FREQUENCIES_X * COLUMN_ROWS * 2 * BLOCK)

/* Gradient of the saddle function: grad^T p + T^T r + s, and sym^T q - p.
   Global size: (CHUNK / WIDTH, nx, nz * chunks) */
__kernel void saddle_gradient(
    __global const float *p, __global const float *q, __global const float *s, __global const float *back_projection,
    __global float *gradient_u, __global float *gradient_w, const int nz, const int slices, const int nx, const int chunks)
{
    const place_t here = place(nz, slices, nx, chunks);
    if (here.x >= nx || here.lane >= CHUNK)
        return;
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c) {
        const size_t at = here.index + CHANNEL(c);
        slices_t slope = gradient_transposed_at(p, 0, at, here) + LOAD(back_projection, at);
#if POSITIVITY_DUAL
        slope += LOAD(s, at);
#endif
        STORE(slope, gradient_u, at);
#if SECOND_ORDER
        slices_t gradient[DIMS];
        symmetrised_gradient_transposed_at(q, 0, at, here, gradient);
#pragma unroll
        for (int d = 0; d < DIMS; ++d)
            STORE(gradient[d] - LOAD(p, at + d * COMPONENT), gradient_w, at + d * COMPONENT);
#endif
    }
}

/* Global size: (CHUNK / WIDTH, channels, nz * chunks) */
__kernel void rows_to_spectrum(
    __global const float *gradient_u, __global const float *gradient_w, __global float *spectrum,
    __global const float2 *roots_half, __global const float2 *roots_x,
    const int nz, const int slices, const int nx, const int chunks)
{
    place_t here = place(nz, slices, nx, chunks);
    const int c = here.x;
    if (c >= CHANNELS || here.lane >= CHUNK)
        return;
    here.index -= (size_t)c * BLOCK;
    complex_t work[2][HALF_X];
    const int chunk = get_global_id(2) % chunks;
    const size_t block = (size_t)(c / PER_BLOCK) * chunks + chunk;
    const int lane = (c % PER_BLOCK) * CHUNK + here.lane;
    for (int field = 0; field < FIELDS; ++field) {
        __global const float *row = (field == 0 ? gradient_u : gradient_w + (field - 1) * COMPONENT) + here.index + CHANNEL(c);
        for (int k = 0; k < HALF_X; ++k) {
            work[0][k].re = 2 * k < nx ? LOAD(row, (size_t)2 * k * BLOCK) : ZERO;
            work[0][k].im = 2 * k + 1 < nx ? LOAD(row, (size_t)(2 * k + 1) * BLOCK) : ZERO;
        }
        const complex_t *found = transform(work[0], work[1], HALF_X, roots_half, 1.0f);
        /* even and odd samples went in as real and imaginary part */
        for (int k = 0; k <= HALF_X; ++k) {
            const complex_t a = found[k == HALF_X ? 0 : k];
            const complex_t b = found[k == 0 || k == HALF_X ? 0 : HALF_X - k];
            const complex_t even = { 0.5f * (a.re + b.re), 0.5f * (a.im - b.im) };
            const complex_t odd = { 0.5f * (a.im + b.im), 0.5f * (b.re - a.re) };
            const complex_t value = sum_of(even, turned(odd, roots_x[k]));
            __global float *target = spectrum + field * SPECTRUM_FIELD + spectrum_index(block, k, here.z, lane);
            STORE(value.re, target, 0);
            STORE(value.im, target, BLOCK);
        }
    }
}

/* Global size: (CHUNK / WIDTH, channels, nz * chunks); the inverse transform is not normalised: the solve was. */
__kernel void spectrum_to_rows(
    __global const float *spectrum, __global float *u, __global float *w, __global float *extrapolated_u,
    __global float *extrapolated_w, __global const float2 *roots_half, __global const float2 *roots_x,
    const int nz, const int slices, const int nx, const int chunks, const float relaxation)
{
    place_t here = place(nz, slices, nx, chunks);
    const int c = here.x;
    if (c >= CHANNELS || here.lane >= CHUNK)
        return;
    here.index -= (size_t)c * BLOCK;
    complex_t work[2][HALF_X];
    const int chunk = get_global_id(2) % chunks;
    const size_t block = (size_t)(c / PER_BLOCK) * chunks + chunk;
    const int lane = (c % PER_BLOCK) * CHUNK + here.lane;
    for (int field = 0; field < FIELDS; ++field) {
        for (int k = 0; k < HALF_X; ++k) {
            __global const float *source = spectrum + field * SPECTRUM_FIELD;
            const size_t at = spectrum_index(block, k, here.z, lane);
            const size_t mirrored = spectrum_index(block, HALF_X - k, here.z, lane);
            const complex_t a = { LOAD(source, at), LOAD(source, at + BLOCK) };
            const complex_t b = { LOAD(source, mirrored), LOAD(source, mirrored + BLOCK) };
            const complex_t even = { a.re + b.re, a.im - b.im };
            const complex_t twisted = { a.re - b.re, a.im + b.im };
            const complex_t odd = turned(twisted, (float2)(roots_x[k].x, -roots_x[k].y));
            work[0][k].re = even.re - odd.im;
            work[0][k].im = even.im + odd.re;
        }
        const complex_t *found = transform(work[0], work[1], HALF_X, roots_half, -1.0f);
        __global float *variable = field == 0 ? u : w + (field - 1) * COMPONENT;
        __global float *extrapolated = field == 0 ? extrapolated_u : extrapolated_w + (field - 1) * COMPONENT;
        for (int x = 0; x < nx; ++x) {
            const size_t at = here.index + (size_t)x * BLOCK + CHANNEL(c);
            const slices_t step = x % 2 ? found[x / 2].im : found[x / 2].re;
            const slices_t old = LOAD(variable, at);
            STORE(old - 2.0f * step, extrapolated, at);
            STORE(old - relaxation * step, variable, at);
        }
    }
}

#if GRID_Y == 1
typedef float number_t; /* coefficients at one frequency, the same for all slices of the vector */
#else
typedef slices_t number_t; /* frequencies along z in the lanes */
#endif
typedef struct {
    number_t re, im;
} symbol_t;

inline complex_t times(symbol_t a, complex_t b)
{
    complex_t r = { a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re };
    return r;
}
inline complex_t conjugate_times(symbol_t a, complex_t b)
{
    complex_t r = { a.re * b.re + a.im * b.im, a.re * b.im - a.im * b.re };
    return r;
}

/* Solve M (du, dw) = (fields) in place at one frequency.
   waves: exp(i w) along every direction of w; constants: first, second / 2, 1 / (norm * grid points),
   then data of every channel, then positivity. */
inline void solve(complex_t *fields, const symbol_t *waves, const number_t lambda, __global const float *constants, const int c)
{
    const float first = constants[0], half_second = constants[1], scale = constants[2];
    const float data = constants[3 + c], positivity = constants[3 + CHANNELS + c];
    symbol_t forward[DIMS];
    number_t power = (number_t)(0.0f);
    for (int d = 0; d < DIMS; ++d) {
        forward[d].re = waves[d].re - 1.0f;
        forward[d].im = waves[d].im;
        power += forward[d].re * forward[d].re + forward[d].im * forward[d].im;
    }
    number_t schur = first * power + data * lambda + positivity;
#if SECOND_ORDER
    const number_t base = first + half_second * power;
    const number_t inverse_base = 1.0f / base;
    const number_t rank_one = half_second / (base + half_second * power);
    symbol_t backward[DIMS], direction[DIMS];
    symbol_t along = { (number_t)(0.0f), (number_t)(0.0f) };
    complex_t along_fields = { ZERO, ZERO };
    for (int d = 0; d < DIMS; ++d) {
        backward[d].re = 1.0f - waves[d].re;
        backward[d].im = waves[d].im;
        /* conj(b) d and conj(b) f */
        along.re += backward[d].re * forward[d].re + backward[d].im * forward[d].im;
        along.im += backward[d].re * forward[d].im - backward[d].im * forward[d].re;
        along_fields = sum_of(along_fields, conjugate_times(backward[d], fields[1 + d]));
    }
    number_t removed = (number_t)(0.0f);
    complex_t from_fields = { ZERO, ZERO };
    for (int d = 0; d < DIMS; ++d) {
        direction[d].re = inverse_base * (forward[d].re - rank_one * (backward[d].re * along.re - backward[d].im * along.im));
        direction[d].im = inverse_base * (forward[d].im - rank_one * (backward[d].re * along.im + backward[d].im * along.re));
        removed += forward[d].re * direction[d].re + forward[d].im * direction[d].im;
        const complex_t parallel = times(backward[d], along_fields);
        fields[1 + d].re = inverse_base * (fields[1 + d].re - rank_one * parallel.re);
        fields[1 + d].im = inverse_base * (fields[1 + d].im - rank_one * parallel.im);
        from_fields = sum_of(from_fields, conjugate_times(forward[d], fields[1 + d]));
    }
    schur -= first * first * removed;
    const number_t inverse = 1.0f / schur;
    const complex_t du = { inverse * (fields[0].re + first * from_fields.re), inverse * (fields[0].im + first * from_fields.im) };
    for (int d = 0; d < DIMS; ++d) {
        const complex_t back = times(direction[d], du);
        fields[1 + d].re = scale * (fields[1 + d].re + first * back.re);
        fields[1 + d].im = scale * (fields[1 + d].im + first * back.im);
    }
    fields[0].re = scale * du.re;
    fields[0].im = scale * du.im;
#else
    const number_t inverse = scale / schur;
    fields[0].re *= inverse;
    fields[0].im *= inverse;
#endif
}

inline complex_t *column_forward(
    __global const float *source, const int nz, complex_t *data, complex_t *other, __global const float2 *roots_z)
{
    for (int z = 0; z < GRID_Z; ++z) {
        data[z].re = z < nz ? LOAD(source, (size_t)z * 2 * BLOCK) : ZERO;
        data[z].im = z < nz ? LOAD(source, (size_t)z * 2 * BLOCK + BLOCK) : ZERO;
    }
    return transform(data, other, GRID_Z, roots_z, 1.0f);
}

inline void store_column(__global float *target, const complex_t *found, const int rows)
{
    for (int z = 0; z < rows; ++z) {
        STORE(found[z].re, target, (size_t)z * 2 * BLOCK);
        STORE(found[z].im, target, (size_t)z * 2 * BLOCK + BLOCK);
    }
}

#if GRID_Y == 1
/* Global size: (BLOCK / WIDTH, frequencies along x, blocks); lambda: (channel, x, z) */
__kernel void columns(
    __global float *spectrum, __global const float *lambda, __global const float2 *roots_z,
    __global const float2 *roots_x, __global const float *constants, const int nz, const int chunks)
{
    const int kx = get_global_id(1);
    const int lane = get_global_id(0) * WIDTH;
    const size_t block = get_global_id(2);
    const int c = (block / chunks) * PER_BLOCK + lane / CHUNK;
    if (kx >= FREQUENCIES_X || lane >= PER_BLOCK * CHUNK || c >= CHANNELS)
        return;
    const size_t at = spectrum_index(block, kx, 0, lane);
    complex_t work[FIELDS + 1][GRID_Z];
    complex_t *found[FIELDS + 1];
    complex_t *spare = work[FIELDS];
    for (int field = 0; field < FIELDS; ++field) {
        found[field] = column_forward(spectrum + field * SPECTRUM_FIELD + at, nz, work[field], spare, roots_z);
        spare = found[field] == work[field] ? spare : work[field];
    }
    symbol_t waves[DIMS];
    waves[DIMS - 1].re = roots_x[kx].x;
    waves[DIMS - 1].im = -roots_x[kx].y;
#if DIMS == 3
    waves[1].re = 1.0f;
    waves[1].im = 0.0f;
#endif
    for (int kz = 0; kz < GRID_Z; ++kz) {
        waves[0].re = roots_z[kz].x;
        waves[0].im = -roots_z[kz].y;
        complex_t fields[FIELDS];
        for (int field = 0; field < FIELDS; ++field)
            fields[field] = found[field][kz];
        solve(fields, waves, lambda[(c * FREQUENCIES_X + kx) * GRID_Z + kz], constants, c);
        for (int field = 0; field < FIELDS; ++field)
            found[field][kz] = fields[field];
    }
    for (int field = 0; field < FIELDS; ++field) {
        const complex_t *result = transform(found[field], spare, GRID_Z, roots_z, -1.0f);
        store_column(spectrum + field * SPECTRUM_FIELD + at, result, nz);
        spare = result == spare ? found[field] : spare;
    }
}
#else
/* Global size: (BLOCK / WIDTH, frequencies along x, blocks), once for every field */
__kernel void columns_forward(
    __global float *spectrum, __global const float2 *roots_z, const int nz, const int chunks, const int field)
{
    const int kx = get_global_id(1);
    const int lane = get_global_id(0) * WIDTH;
    const size_t block = get_global_id(2);
    const int c = (block / chunks) * PER_BLOCK + lane / CHUNK;
    if (kx >= FREQUENCIES_X || lane >= PER_BLOCK * CHUNK || c >= CHANNELS)
        return;
    complex_t work[2][GRID_Z];
    __global float *column =
        spectrum + field * SPECTRUM_FIELD + spectrum_index(block, kx, 0, lane);
    store_column(column, column_forward(column, nz, work[0], work[1], roots_z), GRID_Z);
}

__kernel void columns_backward(
    __global float *spectrum, __global const float2 *roots_z, const int nz, const int chunks, const int field)
{
    const int kx = get_global_id(1);
    const int lane = get_global_id(0) * WIDTH;
    const size_t block = get_global_id(2);
    const int c = (block / chunks) * PER_BLOCK + lane / CHUNK;
    if (kx >= FREQUENCIES_X || lane >= PER_BLOCK * CHUNK || c >= CHANNELS)
        return;
    complex_t work[2][GRID_Z];
    __global float *column =
        spectrum + field * SPECTRUM_FIELD + spectrum_index(block, kx, 0, lane);
    for (int z = 0; z < GRID_Z; ++z) {
        work[0][z].re = LOAD(column, (size_t)z * 2 * BLOCK);
        work[0][z].im = LOAD(column, (size_t)z * 2 * BLOCK + BLOCK);
    }
    store_column(column, transform(work[0], work[1], GRID_Z, roots_z, -1.0f), nz);
}

/* Transform along y, solve, and back, for WIDTH frequencies along z at once.
   Global size: (CHANNELS * ceil(GRID_Z / WIDTH), frequencies along x, 1): channels share cache lines. */
__kernel void across_slices(
    __global float *spectrum, __global const float *lambda, __global const float2 *roots_z,
    __global const float2 *roots_y, __global const float2 *roots_x, __global const float *constants,
    const int slices, const int chunks)
{
    const int first_kz = get_global_id(0) / CHANNELS * WIDTH;
    const int kx = get_global_id(1);
    const int c = get_global_id(0) % CHANNELS;
    if (kx >= FREQUENCIES_X || first_kz >= GRID_Z)
        return;
    const int lanes = GRID_Z - first_kz < WIDTH ? GRID_Z - first_kz : WIDTH;
    complex_t work[FIELDS + 1][GRID_Y];
    complex_t *found[FIELDS + 1];
    complex_t *spare = work[FIELDS];
    slices_t lambdas = ZERO;
    symbol_t waves[DIMS];
    waves[0].re = ZERO;
    waves[0].im = ZERO;
    for (int j = 0; j < lanes; ++j) {
        ((float *)&lambdas)[j] = lambda[(c * FREQUENCIES_X + kx) * GRID_Z + first_kz + j];
        ((float *)&waves[0].re)[j] = roots_z[first_kz + j].x;
        ((float *)&waves[0].im)[j] = -roots_z[first_kz + j].y;
    }
    waves[DIMS - 1].re = (number_t)(roots_x[kx].x);
    waves[DIMS - 1].im = (number_t)(-roots_x[kx].y);
    for (int field = 0; field < FIELDS; ++field) {
        for (int y = 0; y < GRID_Y; ++y) {
            work[field][y].re = ZERO;
            work[field][y].im = ZERO;
        }
        for (int start = 0; start < slices; start += WIDTH) {
            const size_t block = (size_t)(c / PER_BLOCK) * chunks + start / CHUNK;
            __global const float *source = spectrum + field * SPECTRUM_FIELD
                + spectrum_index(block, kx, first_kz, (c % PER_BLOCK) * CHUNK + start % CHUNK);
            slices_t re[WIDTH], im[WIDTH];
            for (int j = 0; j < WIDTH; ++j) {
                re[j] = j < lanes ? LOAD(source, (size_t)j * 2 * BLOCK) : ZERO;
                im[j] = j < lanes ? LOAD(source, (size_t)j * 2 * BLOCK + BLOCK) : ZERO;
            }
            transpose(re);
            transpose(im);
            for (int y = 0; y < WIDTH && start + y < slices; ++y) {
                work[field][start + y].re = re[y];
                work[field][start + y].im = im[y];
            }
        }
        found[field] = transform(work[field], spare, GRID_Y, roots_y, 1.0f);
        spare = found[field] == work[field] ? spare : work[field];
    }
    for (int ky = 0; ky < GRID_Y; ++ky) {
        waves[1].re = (number_t)(roots_y[ky].x);
        waves[1].im = (number_t)(-roots_y[ky].y);
        complex_t fields[FIELDS];
        for (int field = 0; field < FIELDS; ++field)
            fields[field] = found[field][ky];
        solve(fields, waves, lambdas, constants, c);
        for (int field = 0; field < FIELDS; ++field)
            found[field][ky] = fields[field];
    }
    for (int field = 0; field < FIELDS; ++field) {
        complex_t *result = transform(found[field], spare, GRID_Y, roots_y, -1.0f);
        spare = result == spare ? found[field] : spare;
        for (int start = 0; start < slices; start += WIDTH) {
            const size_t block = (size_t)(c / PER_BLOCK) * chunks + start / CHUNK;
            __global float *target = spectrum + field * SPECTRUM_FIELD
                + spectrum_index(block, kx, first_kz, (c % PER_BLOCK) * CHUNK + start % CHUNK);
            slices_t re[WIDTH], im[WIDTH];
            for (int y = 0; y < WIDTH; ++y) {
                re[y] = start + y < slices ? result[start + y].re : ZERO;
                im[y] = start + y < slices ? result[start + y].im : ZERO;
            }
            transpose(re);
            transpose(im);
            for (int j = 0; j < lanes; ++j) {
                STORE(re[j], target, (size_t)j * 2 * BLOCK);
                STORE(im[j], target, (size_t)j * 2 * BLOCK + BLOCK);
            }
        }
    }
}
#endif
