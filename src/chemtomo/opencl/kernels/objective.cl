/* Partial sums of the objective and of the duality gap. A work item sums along one row of voxels or
 * one ray of the detector; the host adds the partial sums in float64.
 */

/* Squared norm of a field's vector of channel c, or over all channels. */
inline slices_t squared_norm_at(__global const float *field, const place_t here, const int components, const int c)
{
    slices_t sum = ZERO;
#if COUPLED
    for (int k = 0; k < CHANNELS; ++k) {
#else
    {
        const int k = c;
#endif
        for (int d = 0; d < components; ++d) {
            const slices_t v = LOAD(field, here.index + CHANNEL(k) + d * COMPONENT);
            sum += v * v;
        }
    }
    return sum;
}

#if NUCLEAR
/* Square of the largest singular value of a Jacobian. */
inline slices_t squared_spectral_norm_at(__global const float *field, const place_t here)
{
    slices_t gram[SYMMETRIC];
    for (int k = 0; k < SYMMETRIC; ++k)
        gram[k] = ZERO;
    for (int c = 0; c < CHANNELS; ++c) {
        slices_t of_channel[DIMS];
        for (int d = 0; d < DIMS; ++d)
            of_channel[d] = LOAD(field, here.index + CHANNEL(c) + d * COMPONENT);
        add_to_gram(gram, of_channel);
    }
    return largest_squared(gram);
}
#define FIRST_SQUARED(c) squared_spectral_norm_at(p, here)
#else
#define FIRST_SQUARED(c) squared_norm_at(p, here, DIMS, c)
#endif

inline slices_t scale_into_ball(slices_t squared_norm, float radius)
{
    return squared_norm > radius * radius ? radius / sqrt(squared_norm) : (slices_t)(1.0f);
}

/* feasible <- max(u, 0). Global size: (CHUNK / WIDTH, nx, nz * chunks) */
__kernel void positive_part(
    __global const float *u, __global float *feasible, const int nz, const int slices, const int nx, const int chunks)
{
    const place_t here = place(nz, slices, nx, chunks);
    if (here.x >= nx || here.lane >= CHUNK)
        return;
    for (int c = 0; c < CHANNELS; ++c) {
        const size_t at = here.index + CHANNEL(c);
        const slices_t v = LOAD(u, at);
        STORE(v < 0.0f ? ZERO : v, feasible, at); /* NaN stays NaN */
    }
}

/* Norms of grad u - w and of sym w. Global size: (CHUNK / WIDTH, 1, nz * chunks);
   partial: (2, chunks, nz, CHUNK). */
__kernel void regulariser_sums(
    __global const float *u, __global const float *w, __global float *partial, const int nz, const int slices,
    const int nx, const int chunks)
{
    place_t here = place(nz, slices, nx, chunks);
    if (here.x >= 1 || here.lane >= CHUNK)
        return;
    slices_t first_sum = ZERO;
    slices_t second_sum = ZERO;
    for (; here.x < nx; move_along_x(&here, nx)) {
        slices_t first_squared = ZERO;
        slices_t second_squared = ZERO;
#if NUCLEAR
        slices_t jacobian[CHANNELS * DIMS];
#endif
        for (int c = 0; c < CHANNELS; ++c) {
            const size_t at = here.index + CHANNEL(c);
#if NUCLEAR
            slices_t *first = jacobian + c * DIMS;
#else
            slices_t first[DIMS];
#endif
            gradient_at(u, at, here, first);
            for (int d = 0; d < DIMS; ++d) {
#if SECOND_ORDER
                first[d] -= LOAD(w, at + d * COMPONENT);
#endif
                first_squared += first[d] * first[d];
            }
#if SECOND_ORDER
            slices_t second[PAIRS];
            symmetrised_gradient_at(w, at, here, second);
            for (int d = 0; d < PAIRS; ++d)
                second_squared += second[d] * second[d];
#endif
#if !COUPLED
            first_sum += sqrt(first_squared);
            second_sum += sqrt(second_squared);
            first_squared = ZERO;
            second_squared = ZERO;
#endif
        }
#if NUCLEAR
        first_sum += nuclear_norm(jacobian);
#elif COUPLED
        first_sum += sqrt(first_squared);
#endif
#if COUPLED
        second_sum += sqrt(second_squared);
#endif
    }
    const int chunk = get_global_id(2) % chunks;
    const size_t at = ((size_t)chunk * nz + here.z) * CHUNK + here.lane;
    STORE(first_sum, partial, at);
    STORE(second_sum, partial, at + (size_t)chunks * nz * CHUNK);
}

/* Factors that make p and q feasible where over-relaxation has left the balls: a volume for p, then one for q.
   Global size: (CHUNK / WIDTH, nx, nz * chunks) */
__kernel void dual_scales(
    __global const float *p, __global const float *q, __global float *scales, const int nz, const int slices,
    const int nx, const int chunks, const float alpha1, const float alpha0)
{
    const place_t here = place(nz, slices, nx, chunks);
    if (here.x >= nx || here.lane >= CHUNK)
        return;
    for (int c = 0; c < CHANNELS; ++c) {
        const size_t at = here.index + CHANNEL(c);
        STORE(scale_into_ball(FIRST_SQUARED(c), alpha1), scales, at);
#if SECOND_ORDER
        STORE(scale_into_ball(squared_norm_at(q, here, PAIRS, c), alpha0), scales, at + COMPONENT);
#endif
    }
}

/* What the duality gap needs of the slopes, for every channel: sum of the negative part of
   grad^T p + T^T r, sum of |sym^T q - p|, and the largest u and |w|.
   Global size: (CHUNK / WIDTH, 1, nz * chunks); partial: (4, blocks, nz, BLOCK), zeroed before. */
__kernel void slope_sums(
    __global const float *u, __global const float *w, __global const float *p, __global const float *q,
    __global const float *back_projection, __global const float *scales, __global float *partial,
    const int nz, const int slices, const int nx, const int chunks)
{
    const place_t start = place(nz, slices, nx, chunks);
    if (start.x >= 1 || start.lane >= CHUNK)
        return;
    const int chunk = get_global_id(2) % chunks;
    const size_t blocks = ((CHANNELS + PER_BLOCK - 1) / PER_BLOCK) * (size_t)chunks;
    for (int c = 0; c < CHANNELS; ++c) {
        place_t here = start;
        slices_t slope_u = ZERO, slope_w = ZERO, largest_u = ZERO, largest_w = ZERO;
        for (; here.x < nx; move_along_x(&here, nx)) {
            const size_t at = here.index + CHANNEL(c);
            const slices_t slope = gradient_transposed_at(p, scales, at, here) + LOAD(back_projection, at);
            slope_u -= slope > 0.0f ? ZERO : slope;
            const slices_t value = LOAD(u, at);
            largest_u = value > largest_u ? value : largest_u;
#if SECOND_ORDER
            slices_t gradient[DIMS];
            symmetrised_gradient_transposed_at(q, scales + COMPONENT, at, here, gradient);
            for (int d = 0; d < DIMS; ++d) {
                __global const float *scale = scales;
                const slices_t difference = gradient[d] - DUAL(p + d * COMPONENT, at);
                slope_w += difference < 0.0f ? -difference : difference;
                const slices_t field = LOAD(w, at + d * COMPONENT);
                const slices_t size = field < 0.0f ? -field : field;
                largest_w = size > largest_w ? size : largest_w;
            }
#endif
        }
        const size_t block = (size_t)(c / PER_BLOCK) * chunks + chunk;
        const size_t at = (block * nz + here.z) * BLOCK + (c % PER_BLOCK) * CHUNK + here.lane;
        const size_t step = blocks * nz * BLOCK;
        STORE(slope_u, partial, at);
        STORE(slope_w, partial, at + step);
        STORE(largest_u, partial, at + 2 * step);
        STORE(largest_w, partial, at + 3 * step);
    }
}

/* Data term, and minus its conjugate at the feasible dual; `projected` becomes the feasible dual.
   Global size: (BLOCK / WIDTH, tilts, blocks). constants: m of every channel and tilt, 0 where there is no
   projection; then m in units of that of the channel, by which the data term is multiplied; then the
   smallest projection that it sees, and whether it is Kullback-Leibler, of every channel.
   partial: (2, blocks, tilts, BLOCK). */
__kernel void data_sums(
    __global float *projected, __global const float *data, __global const float *background,
    __global const float *pixel_weights, __global const float *r, __global const float *constants,
    __global float *partial, const int tilts, const int detectors, const int chunks)
{
    const int lane = get_global_id(0) * WIDTH;
    const int tilt = get_global_id(1);
    const size_t block = get_global_id(2);
    if (tilt >= tilts || lane >= BLOCK)
        return;
    const int channel = (block / chunks) * PER_BLOCK + lane / CHUNK;
    const int c = channel < CHANNELS ? channel : CHANNELS - 1;
    const float of_projection = constants[c * tilts + tilt];
    const float relative = constants[(CHANNELS + c) * tilts + tilt];
    const slices_t least_seen = (slices_t)(constants[2 * CHANNELS * tilts + c]);
    slices_t primal = ZERO, dual = ZERO;
    const size_t row = (block * tilts + tilt) * detectors;
    for (int i = 0; i < detectors; ++i) {
        const size_t at = (row + i) * BLOCK + lane;
        if (!(of_projection > 0.0f)) {
            STORE(ZERO, projected, at);
            continue;
        }
        const slices_t recorded = LOAD(data, at);
        const slices_t f = IF_VALID(recorded, recorded);
        const slices_t own = LOAD(r, at);
        const slices_t of_pixel = PIXEL_WEIGHT(at);
        const slices_t weight = of_projection * of_pixel;
#if BACKGROUND
        const slices_t v = LOAD(projected, at) + LOAD(background, at);
#else
        const slices_t v = LOAD(projected, at);
#endif
        slices_t feasible;
        if (IS_KULLBACK_LEIBLER(constants[2 * CHANNELS * tilts + CHANNELS + c])) {
            const slices_t seen = v < least_seen ? least_seen : v;
            const slices_t logarithm = f > 0.0f ? f * log((f > 0.0f ? f : (slices_t)(1.0f)) / seen) : ZERO;
            primal += IF_VALID(recorded, of_pixel * ((f > 0.0f ? seen : v) - f + logarithm));
            /* what is left below the weight, on its own: the difference would be a few units in the last place */
            const slices_t least = f > 0.0f ? 1e-6f * weight : ZERO;
            const slices_t left = weight - own < least ? least : weight - own;
            feasible = IF_VALID(recorded, weight - own < least ? weight - least : own);
            dual += f > 0.0f ? weight * f * log(left / weight) : ZERO;
        } else {
            feasible = IF_VALID(recorded, own);
            primal += IF_VALID(recorded, 0.5f * of_pixel * (v - f) * (v - f));
            dual -= feasible * f + feasible * feasible / (2.0f * weight);
        }
#if BACKGROUND
        dual += feasible * LOAD(background, at);
#endif
        STORE(feasible, projected, at);
    }
    const size_t at = (block * tilts + tilt) * BLOCK + lane;
    STORE(relative * primal, partial, at);
    STORE(dual, partial, at + (size_t)get_global_size(2) * tilts * BLOCK);
}
