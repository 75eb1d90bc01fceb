/* What a device can do at best: copy, multiply and add in registers, and on values from its cache. */
#ifndef WIDTH
#define WIDTH 16
#endif
#define CONCATENATE_(a, b) a##b
#define CONCATENATE(a, b) CONCATENATE_(a, b)
typedef CONCATENATE(float, WIDTH) vector_t;
#define SUMS 8

__kernel void copy(__global const vector_t *source, __global vector_t *target)
{
    const size_t at = get_global_id(0);
    target[at] = source[at];
}

__kernel void multiply_add(__global vector_t *target, const float factor, const int rounds)
{
    vector_t sums[SUMS];
#pragma unroll
    for (int i = 0; i < SUMS; ++i)
        sums[i] = (vector_t)((float)(get_global_id(0) + i));
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (int i = 0; i < SUMS; ++i)
            sums[i] = sums[i] * factor + 1.0f;
    }
    vector_t total = sums[0];
#pragma unroll
    for (int i = 1; i < SUMS; ++i)
        total += sums[i];
    target[get_global_id(0)] = total;
}

/* A projector at its best: sums of weighted values that are in the cache. `length` is a multiple of SUMS. */
__kernel void weighted_sum(
    __global const vector_t *source, __global vector_t *target, const float factor, const int length, const int rounds)
{
    vector_t sums[SUMS];
#pragma unroll
    for (int i = 0; i < SUMS; ++i)
        sums[i] = (vector_t)(0.0f);
    float weight = 1.0f;
    for (int round = 0; round < rounds; ++round) {
        weight *= factor;
        for (int at = 0; at < length; at += SUMS) {
#pragma unroll
            for (int i = 0; i < SUMS; ++i)
                sums[i] += weight * source[at + i];
        }
    }
    vector_t total = sums[0];
#pragma unroll
    for (int i = 1; i < SUMS; ++i)
        total += sums[i];
    target[get_global_id(0)] = total;
}
