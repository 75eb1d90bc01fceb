/* Grey levels and free voxels of discrete tomography. Global size: (BLOCK / WIDTH, nx, blocks * nz). */
#if WIDTH == 1
typedef uint places_t;
#define AS_FLOAT(v) convert_float(v)
#else
typedef CONCATENATE(uint, WIDTH) places_t;
#define AS_FLOAT(v) CONCATENATE(convert_float, WIDTH)(v)
#endif

#define FIND_VOXEL \
    const int lane = get_global_id(0) * WIDTH; \
    const int x = get_global_id(1); \
    const int z = get_global_id(2) % nz; \
    const size_t block = get_global_id(2) / nz; \
    if (x >= nx || lane >= BLOCK) \
        return; \
    const size_t at = ((block * nz + z) * nx + x) * BLOCK + lane;

/* Every voxel at the nearest of `count` rising levels of its channel. */
__kernel void segment(
    __global const float *volume, __global float *segmented, __global const float *levels, const int count,
    const int nz, const int nx, const int chunks)
{
    FIND_VOXEL
    __global const float *own = levels + channel_of(block, lane, chunks) * count;
    const slices_t value = LOAD(volume, at);
    slices_t nearest = (slices_t)(own[0]);
    for (int level = 1; level < count; ++level)
        nearest = value > 0.5f * (own[level - 1] + own[level]) ? (slices_t)(own[level]) : nearest;
    STORE(nearest, segmented, at);
}

inline places_t mixed(places_t number, places_t place)
{
    number ^= place;
    number = (number ^ (number >> 16)) * 0x85ebca6bu;
    number = (number ^ (number >> 13)) * 0xc2b2ae35u;
    return number ^ (number >> 16);
}

/* 1 where one of the eight voxels around has another value, and at a random share; else 0. The random numbers
   are those of chemtomo.solvers.classical.numpy_workspace.chance. */
__kernel void choose_free(
    __global const float *segmented, __global float *free, const float share, const uint seed, const uint first,
    const int nz, const int nx, const int chunks)
{
    FIND_VOXEL
    const uint y_start = first + (uint)(block % chunks) * CHUNK + (uint)(lane % CHUNK);
    places_t y = (places_t)(y_start);
#if WIDTH > 1
    y += CONCATENATE(convert_uint, WIDTH)(LANES);
#endif
    const places_t number = mixed(mixed(mixed((places_t)(seed), (places_t)(z)), y), (places_t)(x));
    const slices_t chance = AS_FLOAT(number >> 8) * 0x1p-24f;
    const slices_t one = (slices_t)(1.0f);
    slices_t is_free = chance < share ? one : ZERO;
    const slices_t value = LOAD(segmented, at);
    for (int near_z = max(z - 1, 0); near_z <= min(z + 1, nz - 1); ++near_z)
        for (int near_x = max(x - 1, 0); near_x <= min(x + 1, nx - 1); ++near_x) {
            const slices_t other = LOAD(segmented, ((block * nz + near_z) * nx + near_x) * BLOCK + lane);
            is_free = other != value ? one : is_free;
        }
    STORE(is_free, free, at);
}

/* volume <- other where the mask is 0 */
__kernel void replace(
    __global float *volume, __global const float *other, __global const float *mask, const int nz, const int nx)
{
    FIND_VOXEL
    STORE((LOAD(mask, at) != 0.0f ? LOAD(volume, at) : LOAD(other, at)), volume, at);
}

/* smoothed <- volume, and where the mask is not 0 partly the mean of the eight voxels around it; beyond the edge
   the outermost count again. */
__kernel void smooth(
    __global const float *volume, __global float *smoothed, __global const float *mask, const float weight,
    const int nz, const int nx)
{
    FIND_VOXEL
    const slices_t value = LOAD(volume, at);
    slices_t around = -value;
    for (int step_z = -1; step_z <= 1; ++step_z)
        for (int step_x = -1; step_x <= 1; ++step_x) {
            const int near_z = clamp(z + step_z, 0, nz - 1);
            const int near_x = clamp(x + step_x, 0, nx - 1);
            around += LOAD(volume, ((block * nz + near_z) * nx + near_x) * BLOCK + lane);
        }
    const slices_t mean = (1.0f - weight) * value + (weight / 8.0f) * around;
    STORE((LOAD(mask, at) != 0.0f ? mean : value), smoothed, at);
}
