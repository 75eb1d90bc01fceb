/* Shared by every kernel file: vector types, loads, and the memory layout.
 *
 * Layout. A volume is stored as (block, z, x, lane) and a sinogram as (block, tilt, detector, lane).
 * The BLOCK lanes of a block are neighbouring slices of one channel, or, when there are few slices,
 * all slices of PER_BLOCK channels:
 *
 *     lane  = (channel % PER_BLOCK) * CHUNK + y % CHUNK
 *     block = (channel / PER_BLOCK) * chunks + y / CHUNK
 *
 * Projection weights do not depend on the lane, so they are computed once for a block. Lanes are the
 * fastest axis, and a block is narrow enough that the rows which a ray crosses do not evict each
 * other from the cache. CHUNK is a multiple of WIDTH, the slices in one vector. Lanes beyond the
 * last slice hold zeros and keep them.
 *
 * Fields with several components are stored component after component, each a whole volume.
 *
 * No builtin function is called in an inner loop: some CPU compilers leave them as calls.
 */
#ifndef WIDTH
#define WIDTH 4
#endif
#ifndef CHUNK
#define CHUNK 8
#endif
#ifndef PER_BLOCK
#define PER_BLOCK 1
#endif
#ifndef BLOCK
#define BLOCK 8
#endif
#ifndef CHANNELS
#define CHANNELS 2
#endif
#ifndef DIMS
#define DIMS 3 /* 3: derivatives along z, y, x; 2: along z, x */
#endif
#ifndef COUPLED
#define COUPLED 1 /* pointwise norms over all channels */
#endif
#ifndef NUCLEAR
#define NUCLEAR 0 /* 1: that of the first order is the nuclear norm, over all channels */
#endif
#ifndef SECOND_ORDER
#define SECOND_ORDER 1 /* TGV; 0 for TV */
#endif
#ifndef KULLBACK_LEIBLER
#define KULLBACK_LEIBLER 1 /* 0 for squares, 2 where the constants say which */
#endif
#ifndef PIXEL_WEIGHTS
#define PIXEL_WEIGHTS 0 /* 1: the data term has a weight of its own at every pixel */
#endif
#ifndef BACKGROUND
#define BACKGROUND 0 /* 1: an expected value without a sample is added to the projections */
#endif
#ifndef VALIDITY
#define VALIDITY 0 /* 1: data may hold the lowest of all numbers, where a pixel was not measured */
#endif
#ifndef POSITIVITY_DUAL
#define POSITIVITY_DUAL 1 /* u >= 0 by a dual variable instead of a projection */
#endif

#define CONCATENATE_(a, b) a##b
#define CONCATENATE(a, b) CONCATENATE_(a, b)

#if WIDTH == 1
typedef float slices_t;
typedef int lanes_t;
#define LANES 0
#define SHIFTED_DOWN(v, next) (next)
#define SHIFTED_UP(v, previous) (previous)
#else
typedef CONCATENATE(float, WIDTH) slices_t;
typedef CONCATENATE(int, WIDTH) lanes_t;
#if WIDTH == 2
#define LANES (int2)(0, 1)
#define SHIFTED_DOWN(v, next) (float2)((v).s1, (next))
#define SHIFTED_UP(v, previous) (float2)((previous), (v).s0)
#elif WIDTH == 4
#define LANES (int4)(0, 1, 2, 3)
#define SHIFTED_DOWN(v, next) (float4)((v).s123, (next))
#define SHIFTED_UP(v, previous) (float4)((previous), (v).s012)
#else
#define LANES (int8)(0, 1, 2, 3, 4, 5, 6, 7)
#define SHIFTED_DOWN(v, next) (float8)((v).s1234, (v).s56, (v).s7, (next))
#define SHIFTED_UP(v, previous) (float8)((previous), (v).s0123, (v).s45, (v).s6)
#endif
#endif

#define ZERO ((slices_t)(0.0f))
/* aligned: CHUNK and BLOCK are multiples of WIDTH */
#define LOAD(pointer, index) (*(__global const slices_t *)((pointer) + (index)))
#define STORE(value, pointer, index) (*(__global slices_t *)((pointer) + (index)) = (value))

/* The datum f, and the value of a pixel that has one; both 0 where a pixel was not measured. */
#if VALIDITY
#define IF_VALID(f, value) ((f) > -1e30f ? (value) : ZERO)
#else
#define IF_VALID(f, value) (value)
#endif

/* The channel of a lane. Padding lanes hold zeros, whatever they are multiplied with. */
inline int channel_of(size_t block, int lane, int chunks)
{
    const int channel = (block / chunks) * PER_BLOCK + lane / CHUNK;
    return channel < CHANNELS ? channel : CHANNELS - 1;
}

#if KULLBACK_LEIBLER == 2
#define IS_KULLBACK_LEIBLER(flag) ((flag) > 0.0f)
#else
#define IS_KULLBACK_LEIBLER(flag) KULLBACK_LEIBLER
#endif
#if PIXEL_WEIGHTS
#define PIXEL_WEIGHT(at) LOAD(pixel_weights, at)
#else
#define PIXEL_WEIGHT(at) ((slices_t)(1.0f))
#endif

/* Where a work item is: its lanes are the slices y ... y + WIDTH - 1 of the voxel (z, x). Neighbours beyond
   the volume are replaced by the voxel itself (a step of 0) and their weight is 0, so that no kernel branches. */
typedef struct {
    size_t index; /* of its first lane, in channel 0 */
    size_t plane; /* floats in one block */
    size_t component; /* floats in one component of a field */
    int z, y, x, lane, chunks;
    size_t after_z, after_x, after_y; /* steps to the neighbours; along y to the lane after the last */
    size_t before_z, before_x, before_y; /* and back */
    float has_after_z, has_after_x, has_before_z, has_before_x;
    slices_t has_after_y, has_before_y;
} place_t;

inline place_t place(int nz, int slices, int nx, int chunks)
{
    place_t here;
    here.lane = get_global_id(0) * WIDTH;
    here.x = get_global_id(1);
    here.z = get_global_id(2) / chunks;
    const int chunk = get_global_id(2) % chunks;
    here.chunks = chunks;
    here.y = chunk * CHUNK + here.lane;
    here.plane = (size_t)nz * nx * BLOCK;
    here.component = (size_t)((CHANNELS + PER_BLOCK - 1) / PER_BLOCK) * chunks * here.plane;
    here.index = (size_t)chunk * here.plane + ((size_t)here.z * nx + here.x) * BLOCK + here.lane;
    here.after_z = here.z + 1 < nz ? (size_t)nx * BLOCK : 0;
    here.before_z = here.z > 0 ? (size_t)nx * BLOCK : 0;
    here.has_after_z = here.z + 1 < nz ? 1.0f : 0.0f;
    here.has_before_z = here.z > 0 ? 1.0f : 0.0f;
    here.after_x = here.x + 1 < nx ? BLOCK : 0;
    here.before_x = here.x > 0 ? BLOCK : 0;
    here.has_after_x = here.x + 1 < nx ? 1.0f : 0.0f;
    here.has_before_x = here.x > 0 ? 1.0f : 0.0f;
    /* the slice after the last lane may be in the next block, the one before the first in the block before */
    const size_t next_block = here.plane - CHUNK;
    here.after_y = here.lane + WIDTH < CHUNK ? WIDTH : here.y + WIDTH < slices ? WIDTH + next_block : 0;
    here.before_y = here.lane > 0 ? 1 : here.y > 0 ? 1 + next_block : 0;
    const lanes_t y = here.y + LANES;
    const slices_t one = (slices_t)(1.0f);
    here.has_after_y = y < slices - 1 ? one : ZERO;
    here.has_before_y = y < slices ? one : ZERO;
    here.has_before_y = y > 0 ? here.has_before_y : ZERO;
    return here;
}

/* Bring `here` to the next voxel along x. */
inline void move_along_x(place_t *here, int nx)
{
    ++here->x;
    here->index += BLOCK;
    here->before_x = BLOCK;
    here->has_before_x = 1.0f;
    here->after_x = here->x + 1 < nx ? BLOCK : 0;
    here->has_after_x = here->x + 1 < nx ? 1.0f : 0.0f;
}

/* Floats from channel 0 to channel c. */
#define CHANNEL(c) ((size_t)((c) / PER_BLOCK) * here.chunks * here.plane + ((c) % PER_BLOCK) * CHUNK)
#define COMPONENT here.component

/* The slices one further, or one back. Beyond the first and the last slice the value has no meaning. */
inline slices_t one_slice_further(__global const float *volume, size_t index, const place_t here)
{
    return SHIFTED_DOWN(LOAD(volume, index), volume[index + here.after_y]);
}
inline slices_t one_slice_back(__global const float *volume, size_t index, const place_t here)
{
    return SHIFTED_UP(LOAD(volume, index), volume[index - here.before_y]);
}
