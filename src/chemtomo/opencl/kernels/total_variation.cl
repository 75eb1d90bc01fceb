/* The two passes over memory of a primal-dual iteration for TV and TGV, fused.
 *
 * Saddle point (normalised variables, see chemtomo.functionals.Problem):
 *     p: |p| <= alpha1, dual to grad u - w;  q: |q| <= alpha0, dual to sym w;  r: dual to the projections.
 * Global size of every kernel: (CHUNK / WIDTH, nx, nz * chunks). A work item has WIDTH slices of a
 * pixel and all channels, so that a norm over channels costs no further pass.
 *
 * Every update z <- z + relaxation * (z+ - z) is over-relaxed; relaxation 1 is the plain update.
 */

/* Scale that projects a vector with this squared norm on the ball of the given radius. */
inline slices_t shrink(slices_t squared_norm, float radius)
{
    const slices_t norm = sqrt(squared_norm);
    return squared_norm > radius * radius ? radius / norm : (slices_t)(1.0f);
}

/* values (already v + sigma * K u) -> v + relaxation * (projection - v), written to `field` */
inline void relaxed_projection(
    __global float *field, const place_t here, const slices_t *values, const int components,
    const float radius, const float relaxation)
{
    slices_t squared[CHANNELS];
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c) {
        squared[c] = ZERO;
        for (int d = 0; d < components; ++d)
            squared[c] += values[c * components + d] * values[c * components + d];
    }
#if COUPLED
    slices_t total = ZERO;
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c)
        total += squared[c];
    const slices_t common_scale = relaxation * shrink(total, radius);
#endif
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c) {
#if COUPLED
        const slices_t scale = common_scale;
#else
        const slices_t scale = relaxation * shrink(squared[c], radius);
#endif
        for (int d = 0; d < components; ++d) {
            const size_t at = here.index + CHANNEL(c) + d * COMPONENT;
            STORE((1.0f - relaxation) * LOAD(field, at) + scale * values[c * components + d], field, at);
        }
    }
}

#if NUCLEAR
/* The same for the first order with coupled directions: no singular value above the radius. */
inline void relaxed_nuclear_projection(
    __global float *field, const place_t here, const slices_t *values, const float radius, const float relaxation)
{
    slices_t gram[SYMMETRIC], matrix[SYMMETRIC];
#pragma unroll
    for (int k = 0; k < SYMMETRIC; ++k)
        gram[k] = ZERO;
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c)
        add_to_gram(gram, values + c * DIMS);
    projection_of(gram, radius, relaxation, matrix);
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c) {
        slices_t projected[DIMS];
        multiply(matrix, values + c * DIMS, projected);
#pragma unroll
        for (int d = 0; d < DIMS; ++d) {
            const size_t at = here.index + CHANNEL(c) + d * COMPONENT;
            STORE((1.0f - relaxation) * LOAD(field, at) + projected[d], field, at);
        }
    }
}
#endif

/* p <- proj(p + sigma1 (grad u - w)); q <- proj(q + sigma0 sym w); s <- min(limit, s + positivity u), limit 0.
   Infinite alphas and limit leave the linear part. */
__kernel void dual_update(
    __global const float *u, __global const float *w, __global float *p, __global float *q, __global float *s,
    __global const float *positivity, const int nz, const int slices, const int nx, const int chunks,
    const float sigma1, const float sigma0, const float alpha1, const float alpha0, const float relaxation,
    const float limit)
{
    const place_t here = place(nz, slices, nx, chunks);
    if (here.x >= nx || here.lane >= CHUNK)
        return;
    slices_t first[CHANNELS * DIMS];
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c) {
        const size_t at = here.index + CHANNEL(c);
        gradient_at(u, at, here, first + c * DIMS);
#pragma unroll
        for (int d = 0; d < DIMS; ++d) {
#if SECOND_ORDER
            first[c * DIMS + d] -= LOAD(w, at + d * COMPONENT);
#endif
            first[c * DIMS + d] = LOAD(p, at + d * COMPONENT) + sigma1 * first[c * DIMS + d];
        }
#if POSITIVITY_DUAL
        const slices_t old = LOAD(s, at);
        const slices_t raised = old + positivity[c] * LOAD(u, at);
        STORE((1.0f - relaxation) * old + relaxation * (raised > limit ? (slices_t)(limit) : raised), s, at);
#endif
    }
#if NUCLEAR
    relaxed_nuclear_projection(p, here, first, alpha1, relaxation);
#else
    relaxed_projection(p, here, first, DIMS, alpha1, relaxation);
#endif
#if SECOND_ORDER
    slices_t second[CHANNELS * PAIRS];
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c) {
        const size_t at = here.index + CHANNEL(c);
        symmetrised_gradient_at(w, at, here, second + c * PAIRS);
#pragma unroll
        for (int d = 0; d < PAIRS; ++d)
            second[c * PAIRS + d] = LOAD(q, at + d * COMPONENT) + sigma0 * second[c * PAIRS + d];
    }
    relaxed_projection(q, here, second, PAIRS, alpha0, relaxation);
#endif
}

/* u <- max(0, u - tau_u (grad^T p + T^T r)); w <- w - tau_w (sym^T q - p); and the extrapolations 2 z+ - z.
   back_projection holds T^T r; steps holds tau_u, then tau_w, of every channel. */
__kernel void primal_update(
    __global float *u, __global float *w, __global float *extrapolated_u, __global float *extrapolated_w,
    __global const float *p, __global const float *q, __global const float *back_projection,
    __global const float *steps, const int nz, const int slices, const int nx, const int chunks, const float relaxation)
{
    const place_t here = place(nz, slices, nx, chunks);
    if (here.x >= nx || here.lane >= CHUNK)
        return;
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c) {
        const size_t at = here.index + CHANNEL(c);
        const slices_t old = LOAD(u, at);
        const slices_t moved =
            old - steps[c] * (gradient_transposed_at(p, 0, at, here) + LOAD(back_projection, at));
        const slices_t next = moved < 0.0f ? ZERO : moved; /* NaN stays NaN, and is seen */
        STORE(2.0f * next - old, extrapolated_u, at);
        STORE(old + relaxation * (next - old), u, at);
#if SECOND_ORDER
        slices_t gradient[DIMS];
        symmetrised_gradient_transposed_at(q, 0, at, here, gradient);
#pragma unroll
        for (int d = 0; d < DIMS; ++d) {
            const size_t component = at + d * COMPONENT;
            const slices_t old_w = LOAD(w, component);
            const slices_t next_w = old_w - steps[CHANNELS + c] * (gradient[d] - LOAD(p, component));
            STORE(2.0f * next_w - old_w, extrapolated_w, component);
            STORE(old_w + relaxation * (next_w - old_w), w, component);
        }
#endif
    }
}
