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
#ifndef SECOND_ORDER
#define SECOND_ORDER 1 /* TGV; 0 for TV */
#endif
#ifndef KULLBACK_LEIBLER
#define KULLBACK_LEIBLER 1 /* 0 for squares */
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

/* Where a work item is. Its lanes are the slices y ... y + WIDTH - 1. */
typedef struct {
    size_t index; /* of its first lane, in channel 0 */
    size_t plane; /* floats in one block */
    size_t chunk_step;
    int z, y, x;
    int nz, slices, nx;
    int lane;
    int chunks;
} place_t;

inline place_t place(int nz, int slices, int nx, int chunks)
{
    place_t here;
    here.lane = get_global_id(0) * WIDTH;
    here.x = get_global_id(1);
    here.z = get_global_id(2) / chunks;
    const int chunk = get_global_id(2) % chunks;
    here.nz = nz;
    here.slices = slices;
    here.nx = nx;
    here.chunks = chunks;
    here.y = chunk * CHUNK + here.lane;
    here.plane = (size_t)nz * nx * BLOCK;
    here.index = (size_t)chunk * here.plane + ((size_t)here.z * nx + here.x) * BLOCK + here.lane;
    here.chunk_step = here.plane - CHUNK;
    return here;
}

/* Floats from channel 0 to channel c. */
#define CHANNEL(c) ((size_t)((c) / PER_BLOCK) * here.chunks * here.plane + ((c) % PER_BLOCK) * CHUNK)
/* Floats in one component of a field. */
#define COMPONENT ((size_t)((CHANNELS + PER_BLOCK - 1) / PER_BLOCK) * here.chunks * here.plane)
#define STEP_X ((size_t)BLOCK)
#define STEP_Z ((size_t)here.nx * BLOCK)

/* The slices one further, or one back; the neighbour of the outermost lane may be in the next block.
   Beyond the first and the last slice the value has no meaning and the caller masks it. */
inline slices_t one_slice_further(__global const float *volume, size_t index, const place_t here)
{
    const slices_t v = LOAD(volume, index);
    float next = 0.0f;
    if (here.lane + WIDTH < CHUNK)
        next = volume[index + WIDTH];
    else if (here.y + WIDTH < here.slices)
        next = volume[index + WIDTH + here.chunk_step];
    return SHIFTED_DOWN(v, next);
}

inline slices_t one_slice_back(__global const float *volume, size_t index, const place_t here)
{
    const slices_t v = LOAD(volume, index);
    float previous = 0.0f;
    if (here.lane > 0)
        previous = volume[index - 1];
    else if (here.y > 0)
        previous = volume[index - 1 - here.chunk_step];
    return SHIFTED_UP(v, previous);
}
