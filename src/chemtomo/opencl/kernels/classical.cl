/* What the classical methods do with sinograms and volumes: see chemtomo.solvers.classical.workspace.
 *
 * Factors are an array as large as what they are multiplied with, or a table of one slice for every channel.
 */
#define FACTOR(factors, is_table, table_index, at) \
    ((is_table) ? (slices_t)((factors)[table_index]) : LOAD(factors, at))

/* The rays of the tilts that take part. Global size: (BLOCK / WIDTH, detectors, blocks * tilts).
   directions: see projector.cl. */
typedef struct {
    size_t at; /* of the first lane */
    size_t in_table;
    int outside;
} ray_t;

inline ray_t ray(__global const float4 *directions, int tilts, int all_tilts, int detectors, int chunks)
{
    ray_t here;
    const int lane = get_global_id(0) * WIDTH;
    const int detector = get_global_id(1);
    const size_t block = get_global_id(2) / tilts;
    const int tilt = (int)directions[get_global_id(2) % tilts].w;
    here.outside = detector >= detectors || lane >= BLOCK;
    here.at = ((block * all_tilts + tilt) * detectors + detector) * BLOCK + lane;
    here.in_table = ((size_t)channel_of(block, lane, chunks) * all_tilts + tilt) * detectors + detector;
    return here;
}

/* sinogram <- factors (data - sinogram) */
__kernel void subtract_from_data(
    __global float *sinogram, __global const float *data, __global const float *factors, const int is_table,
    __global const float4 *directions, const int tilts, const int all_tilts, const int detectors, const int chunks)
{
    const ray_t here = ray(directions, tilts, all_tilts, detectors, chunks);
    if (here.outside)
        return;
    const slices_t factor = FACTOR(factors, is_table, here.in_table, here.at);
    const slices_t recorded = LOAD(data, here.at);
    STORE(IF_VALID(recorded, (recorded - LOAD(sinogram, here.at)) * factor), sinogram, here.at);
}

/* scaled <- factors sinogram, or the factors alone */
__kernel void scale_rays(
    __global const float *sinogram, __global float *scaled, __global const float *data,
    __global const float *factors, const int is_table, const int alone, __global const float4 *directions,
    const int tilts, const int all_tilts, const int detectors, const int chunks)
{
    const ray_t here = ray(directions, tilts, all_tilts, detectors, chunks);
    if (here.outside)
        return;
    const slices_t factor = FACTOR(factors, is_table, here.in_table, here.at);
    const slices_t value = alone ? factor : factor * LOAD(sinogram, here.at);
    STORE(IF_VALID(LOAD(data, here.at), value), scaled, here.at);
}

/* sinogram <- factors data / (sinogram + background). The background is read with BACKGROUND only. */
__kernel void data_over(
    __global float *sinogram, __global const float *data, __global const float *background,
    __global const float *factors, const int is_table, __global const float4 *directions,
    const int tilts, const int all_tilts, const int detectors, const int chunks)
{
    const ray_t here = ray(directions, tilts, all_tilts, detectors, chunks);
    if (here.outside)
        return;
    const slices_t factor = FACTOR(factors, is_table, here.in_table, here.at);
    const slices_t recorded = LOAD(data, here.at);
#if BACKGROUND
    const slices_t expected = LOAD(sinogram, here.at) + LOAD(background, here.at);
#else
    const slices_t expected = LOAD(sinogram, here.at);
#endif
    const slices_t ratio = recorded / (expected > 0.0f ? expected : (slices_t)(1.0f)) * factor;
    STORE(IF_VALID(recorded, (expected > 0.0f ? ratio : ZERO)), sinogram, here.at);
}

/* The pixels of a volume or the rays of a sinogram. Global size: (BLOCK / WIDTH, pixels, blocks). */
#define FIND_PIXEL \
    const int lane = get_global_id(0) * WIDTH; \
    const int pixel = get_global_id(1); \
    const size_t block = get_global_id(2); \
    if (pixel >= pixels || lane >= BLOCK) \
        return; \
    const size_t at = (block * pixels + pixel) * BLOCK + lane;

/* sums <- 1 / sums, and 0 where a sum is at most `least` of its channel */
__kernel void invert(__global float *sums, __global const float *least, const int pixels, const int chunks)
{
    FIND_PIXEL
    const slices_t sum = LOAD(sums, at);
    const slices_t limit = (slices_t)(least[channel_of(block, lane, chunks)]);
    const slices_t inverse = 1.0f / (sum > limit ? sum : (slices_t)(1.0f));
    STORE((sum > limit ? inverse : ZERO), sums, at);
}

/* volume <- volume + step factors change, within bounds */
__kernel void add(
    __global float *volume, __global const float *change, __global const float *factors, const int is_table,
    const float step, const float lowest, const float highest, const int pixels, const int chunks)
{
    FIND_PIXEL
    const size_t in_table = channel_of(block, lane, chunks) * (size_t)pixels + pixel;
    const slices_t factor = FACTOR(factors, is_table, in_table, at);
    const slices_t moved = LOAD(volume, at) + step * (factor * LOAD(change, at));
    const slices_t low = moved < lowest ? (slices_t)(lowest) : moved; /* NaN stays NaN */
    STORE((low > highest ? (slices_t)(highest) : low), volume, at);
}

/* volume <- volume factors change, within bounds; unchanged where the factor is 0 */
__kernel void multiply(
    __global float *volume, __global const float *change, __global const float *factors, const int is_table,
    const float lowest, const float highest, const int pixels, const int chunks)
{
    FIND_PIXEL
    const size_t in_table = channel_of(block, lane, chunks) * (size_t)pixels + pixel;
    const slices_t factor = FACTOR(factors, is_table, in_table, at);
    const slices_t before = LOAD(volume, at);
    const slices_t scaled = before * (factor * LOAD(change, at));
    const slices_t low = scaled < lowest ? (slices_t)(lowest) : scaled;
    const slices_t next = low > highest ? (slices_t)(highest) : low;
    STORE((factor > 0.0f ? next : before), volume, at);
}

/* y <- a x + b y with numbers of every lane */
__kernel void combine(
    __global const float *x, __global float *y, __global const float *a, __global const float *b,
    const int pixels)
{
    FIND_PIXEL
    const size_t own = block * BLOCK + lane;
    STORE(LOAD(a, own) * LOAD(x, at) + LOAD(b, own) * LOAD(y, at), y, at);
}

/* Inner products along the columns of one row each; the host adds the rows in float64.
   Global size: (BLOCK / WIDTH, rows, blocks); partial: (block, row, lane). */
__kernel void products(
    __global const float *x, __global const float *y, __global float *partial, const int rows, const int columns)
{
    const int lane = get_global_id(0) * WIDTH;
    const int row = get_global_id(1);
    const size_t block = get_global_id(2);
    if (row >= rows || lane >= BLOCK)
        return;
    slices_t sum = ZERO;
    const size_t start = (block * rows + row) * columns;
    for (int column = 0; column < columns; ++column) {
        const size_t at = (start + column) * BLOCK + lane;
        sum += LOAD(x, at) * LOAD(y, at);
    }
    STORE(sum, partial, (block * rows + row) * BLOCK + lane);
}
