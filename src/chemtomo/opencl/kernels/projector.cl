/* Parallel-beam projection and its exact transpose.
 *
 * s = (x - cx) cos t + (z - cz) sin t + cs_t; the weight of a pixel on detector pixel i is
 * max(0, 1 - |s - i|) (Huber et al. 2019, eq. 8). Both kernels take it from the same expression
 * for s - i, so that one is the transpose of the other to the rounding of a weight.
 *
 * One work item holds VECTORS vectors of K_WIDTH lanes, so that the scalar index arithmetic is
 * shared by many slices and channels. Global size: (BLOCK / (K_WIDTH * VECTORS), detectors or nx,
 * blocks * (tilts or nz)).
 *
 * directions: (cos, sin, cs, index in the sinogram) of every tilt that takes part; tilts: how many these are;
 * all_tilts: how many the sinogram has; axis: (cx, cz).
 */
#ifndef K_WIDTH
#define K_WIDTH 4
#endif
#ifndef VECTORS
#define VECTORS 1
#endif

#if K_WIDTH == 1
typedef float block_t;
#define LOAD_BLOCK(pointer, index) ((pointer)[index])
#define STORE_BLOCK(value, pointer, index) ((pointer)[index] = (value))
#else
typedef CONCATENATE(float, K_WIDTH) block_t;
/* aligned: BLOCK is a multiple of K_WIDTH */
#define LOAD_BLOCK(pointer, index) (*(__global const block_t *)((pointer) + (index)))
#define STORE_BLOCK(value, pointer, index) (*(__global block_t *)((pointer) + (index)) = (value))
#endif
#define LANES_PER_ITEM (K_WIDTH * VECTORS)


inline int round_down(float value)
{
    const int towards_zero = (int)value;
    return towards_zero - (value < (float)towards_zero ? 1 : 0);
}

inline float magnitude(float value) { return value < 0.0f ? -value : value; }

inline float offset_from(float x, float z, int i, float4 direction, float2 axis)
{
    return (x - axis.x) * direction.x + ((z - axis.y) * direction.y + (direction.z - (float)i));
}

/* Adds the part of the volume between band_start and band_stop (along z) to the sinogram; the first
   band overwrites. A band that stays in the cache while all tilts are projected is read once from memory. */
__kernel void forward_project(
    __global const float *volume, __global float *sinogram, __global const float4 *directions,
    const float2 axis, const int nz, const int nx, const int detectors, const int tilts, const int all_tilts,
    const float scale, const int band_start, const int band_stop)
{
    const int i = get_global_id(1);
    const float4 direction = directions[get_global_id(2) % tilts];
    const int tilt = (int)direction.w;
    const size_t block = get_global_id(2) / tilts;
    const int lane = get_global_id(0) * LANES_PER_ITEM;
    if (i >= detectors || lane >= BLOCK)
        return;
    volume += block * nz * nx * BLOCK + lane;
    __global float *target = sinogram + ((block * all_tilts + tilt) * detectors + i) * BLOCK + lane;

    /* March along the axis that is closer to the beam: there each row meets the ray in 1 to 3 pixels. */
    const int march_z = magnitude(direction.x) >= magnitude(direction.y);
    const int column_start = march_z ? 0 : band_start;
    const int column_stop = march_z ? nx : band_stop;
    const int row_stride = march_z ? nx * BLOCK : BLOCK;
    const int column_stride = march_z ? BLOCK : nx * BLOCK;
    const float inverse = 1.0f / (march_z ? direction.x : direction.y);
    const float reach = magnitude(inverse);
    int row_start = march_z ? band_start : 0;
    int row_stop = march_z ? band_stop : nx;
    /* the column of the ray in row 0, and its change from row to row */
    const float middle_0 = -offset_from(0.0f, 0.0f, i, direction, axis) * inverse;
    const float tangent = -(march_z ? direction.y : direction.x) * inverse;
    if (magnitude(tangent) > 1e-6f) {
        /* only rows where the ray is inside the columns */
        const float one = ((float)column_start - reach - 1.0f - middle_0) / tangent;
        const float other = ((float)column_stop + reach - middle_0) / tangent;
        const float low = one < other ? one : other, high = one < other ? other : one;
        row_start = low > (float)row_start ? round_down(low < 1e6f ? low : 1e6f) : row_start;
        row_stop = high + 2.0f < (float)row_stop ? round_down(high > -1e6f ? high : -1e6f) + 2 : row_stop;
    } else if (middle_0 + reach < (float)column_start - 1.0f || middle_0 - reach > (float)column_stop) {
        row_stop = row_start;
    }
    if (band_start > 0 && row_start >= row_stop)
        return;
    block_t sums[VECTORS];
#pragma unroll
    for (int v = 0; v < VECTORS; ++v)
        sums[v] = (block_t)(0.0f);
    for (int row = row_start; row < row_stop; ++row) {
        const float at_zero = march_z ? offset_from(0.0f, (float)row, i, direction, axis)
                                      : offset_from((float)row, 0.0f, i, direction, axis);
        const float middle = -at_zero * inverse;
        /* a hair wider than the support: weights outside are zero */
        int first = round_down(middle - reach + 0.999f);
        int last = round_down(middle + reach + 1e-3f);
        first = first < column_start ? column_start : first;
        last = last < column_stop ? last : column_stop - 1;
        __global const float *source = volume + (size_t)row * row_stride;
        for (int column = first; column <= last; ++column) {
            const float away = march_z ? offset_from((float)column, (float)row, i, direction, axis)
                                       : offset_from((float)row, (float)column, i, direction, axis);
            const float weight = 1.0f - magnitude(away);
            if (weight > 0.0f) {
                __global const float *here = source + (size_t)column * column_stride;
#pragma unroll
                for (int v = 0; v < VECTORS; ++v)
                    sums[v] += weight * LOAD_BLOCK(here, v * K_WIDTH);
            }
        }
    }
#pragma unroll
    for (int v = 0; v < VECTORS; ++v) {
        const block_t before = band_start > 0 ? LOAD_BLOCK(target, v * K_WIDTH) : (block_t)(0.0f);
        STORE_BLOCK(before + sums[v] * scale, target, v * K_WIDTH);
    }
}

__kernel void back_project(
    __global const float *sinogram, __global float *volume, __global const float4 *directions,
    const float2 axis, const int nz, const int nx, const int detectors, const int tilts, const int all_tilts,
    const float scale)
{
    const int x = get_global_id(1);
    const int z = get_global_id(2) % nz;
    const size_t block = get_global_id(2) / nz;
    const int lane = get_global_id(0) * LANES_PER_ITEM;
    if (x >= nx || lane >= BLOCK)
        return;
    sinogram += block * all_tilts * detectors * BLOCK + lane;
    block_t sums[VECTORS];
#pragma unroll
    for (int v = 0; v < VECTORS; ++v)
        sums[v] = (block_t)(0.0f);
    for (int taking_part = 0; taking_part < tilts; ++taking_part) {
        const float4 direction = directions[taking_part];
        const int tilt = (int)direction.w;
        const int i = round_down(offset_from((float)x, (float)z, 0, direction, axis));
        if (i < -1 || i >= detectors)
            continue;
        __global const float *source = sinogram + ((size_t)tilt * detectors + i) * BLOCK;
        const float right = offset_from((float)x, (float)z, i, direction, axis); /* s - i, with the digits of the small */
        const float left = 1.0f - right;
        if (i >= 0 && i + 1 < detectors) {
#pragma unroll
            for (int v = 0; v < VECTORS; ++v) {
                sums[v] += left * LOAD_BLOCK(source, v * K_WIDTH); /* two statements: two fused multiply-adds */
                sums[v] += right * LOAD_BLOCK(source, BLOCK + v * K_WIDTH);
            }
        } else {
            const float w = i >= 0 ? left : right;
            __global const float *edge = i >= 0 ? source : source + BLOCK;
#pragma unroll
            for (int v = 0; v < VECTORS; ++v)
                sums[v] += w * LOAD_BLOCK(edge, v * K_WIDTH);
        }
    }
    __global float *target = volume + ((block * nz + z) * nx + x) * BLOCK + lane;
#pragma unroll
    for (int v = 0; v < VECTORS; ++v)
        STORE_BLOCK(sums[v] * scale, target, v * K_WIDTH);
}
