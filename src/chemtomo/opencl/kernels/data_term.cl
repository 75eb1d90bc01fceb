/* The dual of the data term. Sinograms are (block, tilt, detector, lane).
 *
 * Global size: (BLOCK / WIDTH, detectors, blocks * tilts): one work item has WIDTH slices of one channel. All of
 * a work group are at one tilt, so that the constants of a channel and tilt cost little.
 */
/* r <- r + relaxation * (prox of the conjugate at r + sigma T u  -  r)
 *
 * Kullback-Leibler (Huber et al. 2019): prox(b) = b - (b - m + sqrt((b - m)^2 + 4 sigma m f)) / 2,
 * rearranged so that nothing large is subtracted from something equally large.
 * Squares: prox(b) = (b - sigma f) / (1 + sigma / m).
 * constants: sigma, then m, of every channel and tilt; 0 where the channel has no projection, and r stays 0; then
 * whether it is Kullback-Leibler. The background is read with BACKGROUND only, the weights of the pixels, by which m is
 * multiplied, with PIXEL_WEIGHTS only. */
__kernel void data_dual_update(
    __global float *r, __global const float *projected, __global const float *data,
    __global const float *background, __global const float *pixel_weights, __global const float *constants,
    const int tilts, const int detectors, const int chunks, const float relaxation)
{
    const int lane = get_global_id(0) * WIDTH;
    const int detector = get_global_id(1);
    const size_t block = get_global_id(2) / tilts;
    const int tilt = get_global_id(2) % tilts;
    if (detector >= detectors || lane >= BLOCK)
        return;
    const size_t at = ((size_t)get_global_id(2) * detectors + detector) * BLOCK + lane;
    const int c = channel_of(block, lane, chunks) * tilts + tilt;
    const float sigma = constants[c];
    const float weight = constants[CHANNELS * tilts + c];
    if (!(weight > 0.0f))
        return;
    const slices_t old = LOAD(r, at);
    const slices_t recorded = LOAD(data, at);
    const slices_t f = IF_VALID(recorded, recorded);
#if BACKGROUND
    const slices_t expected = LOAD(projected, at) + LOAD(background, at);
#else
    const slices_t expected = LOAD(projected, at);
#endif
    const slices_t argument = old + sigma * expected;
    const slices_t own = weight * PIXEL_WEIGHT(at);
    slices_t next;
    if (IS_KULLBACK_LEIBLER(constants[2 * CHANNELS * tilts + c])) {
        const slices_t b = argument - own;
        const slices_t product = 4.0f * sigma * own * f;
        const slices_t root = sqrt(b * b + product);
        const slices_t sum = b + root;
        const slices_t large = sum > 0.0f ? -product / (2.0f * sum) : ZERO;
        next = own + (b > 0.0f ? large : 0.5f * (b - root));
    } else {
        next = (argument - sigma * f) / (1.0f + sigma / own);
    }
    STORE(IF_VALID(recorded, old + relaxation * (next - old)), r, at);
}

/* r <- sigma T u, the linear part. constants: sigma of every channel and tilt. The data are read with VALIDITY
   only. */
__kernel void scaled_projection(
    __global float *r, __global const float *projected, __global const float *data, __global const float *constants,
    const int tilts, const int detectors, const int chunks)
{
    const int lane = get_global_id(0) * WIDTH;
    const int detector = get_global_id(1);
    const size_t block = get_global_id(2) / tilts;
    const int tilt = get_global_id(2) % tilts;
    if (detector >= detectors || lane >= BLOCK)
        return;
    const size_t at = ((size_t)get_global_id(2) * detectors + detector) * BLOCK + lane;
    const slices_t scaled = constants[channel_of(block, lane, chunks) * tilts + tilt] * LOAD(projected, at);
    STORE(IF_VALID(LOAD(data, at), scaled), r, at);
}
