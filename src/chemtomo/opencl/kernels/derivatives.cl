/* The derivatives that the regularisers use, at one place, and their exact transposes.
 *
 * Components of a gradient field: (z, y, x) with DIMS 3, (z, x) with DIMS 2.
 * Pairs of a symmetrised gradient: diagonals first, then (zy, zx, yx) or (zx); off-diagonal entries
 * are scaled by sqrt 2, so that the Euclidean norm of the pairs is the Frobenius norm of the matrix.
 *
 * Gradient: forward differences, 0 at the last index. Symmetrised gradient: backward differences,
 * 0 at the first index.
 */
#if DIMS == 3
#define PAIRS 6
#define Z 0
#define Y 1
#define X 2
#else
#define PAIRS 3
#define Z 0
#define X 1
#endif
#define HALF_ROOT 0.70710678f

/* A dual field at a place. With SCALED_DUALS it is multiplied there by a scale, one per channel and
   place, so that a feasible field need not be stored; `scale` is a null pointer otherwise. */
#ifndef SCALED_DUALS
#define SCALED_DUALS 0
#endif
#if SCALED_DUALS
#define DUAL(v, at) (LOAD(v, at) * LOAD(scale, at))
#define DUAL_FURTHER(v, at) (one_slice_further(v, at, here) * one_slice_further(scale, at, here))
#define DUAL_BACK(v, at) (one_slice_back(v, at, here) * one_slice_back(scale, at, here))
#else
#define DUAL(v, at) LOAD(v, at)
#define DUAL_FURTHER(v, at) one_slice_further(v, at, here)
#define DUAL_BACK(v, at) one_slice_back(v, at, here)
#endif

inline slices_t forward_z(__global const float *v, size_t at, const place_t here)
{
    return LOAD(v, at + here.after_z) - LOAD(v, at);
}
inline slices_t backward_z(__global const float *v, size_t at, const place_t here)
{
    return LOAD(v, at) - LOAD(v, at - here.before_z);
}
inline slices_t forward_z_transposed(__global const float *v, __global const float *scale, size_t at, const place_t here)
{
    return here.has_before_z * DUAL(v, at - here.before_z) - here.has_after_z * DUAL(v, at);
}
inline slices_t backward_z_transposed(__global const float *v, __global const float *scale, size_t at, const place_t here)
{
    return here.has_before_z * DUAL(v, at) - here.has_after_z * DUAL(v, at + here.after_z);
}

inline slices_t forward_x(__global const float *v, size_t at, const place_t here)
{
    return LOAD(v, at + here.after_x) - LOAD(v, at);
}
inline slices_t backward_x(__global const float *v, size_t at, const place_t here)
{
    return LOAD(v, at) - LOAD(v, at - here.before_x);
}
inline slices_t forward_x_transposed(__global const float *v, __global const float *scale, size_t at, const place_t here)
{
    return here.has_before_x * DUAL(v, at - here.before_x) - here.has_after_x * DUAL(v, at);
}
inline slices_t backward_x_transposed(__global const float *v, __global const float *scale, size_t at, const place_t here)
{
    return here.has_before_x * DUAL(v, at) - here.has_after_x * DUAL(v, at + here.after_x);
}

#if DIMS == 3
inline slices_t forward_y(__global const float *v, size_t at, const place_t here)
{
    return here.has_after_y * (one_slice_further(v, at, here) - LOAD(v, at));
}
inline slices_t backward_y(__global const float *v, size_t at, const place_t here)
{
    return here.has_before_y * (LOAD(v, at) - one_slice_back(v, at, here));
}
inline slices_t forward_y_transposed(__global const float *v, __global const float *scale, size_t at, const place_t here)
{
    return here.has_before_y * DUAL_BACK(v, at) - here.has_after_y * DUAL(v, at);
}
inline slices_t backward_y_transposed(__global const float *v, __global const float *scale, size_t at, const place_t here)
{
    return here.has_before_y * DUAL(v, at) - here.has_after_y * DUAL_FURTHER(v, at);
}
#endif

/* grad u of channel c, component by component */
inline void gradient_at(__global const float *u, size_t at, const place_t here, slices_t result[DIMS])
{
    result[Z] = forward_z(u, at, here);
    result[X] = forward_x(u, at, here);
#if DIMS == 3
    result[Y] = forward_y(u, at, here);
#endif
}

/* grad^T p */
inline slices_t gradient_transposed_at(
    __global const float *p, __global const float *scale, size_t at, const place_t here)
{
    slices_t result = forward_z_transposed(p + Z * COMPONENT, scale, at, here) + forward_x_transposed(p + X * COMPONENT, scale, at, here);
#if DIMS == 3
    result += forward_y_transposed(p + Y * COMPONENT, scale, at, here);
#endif
    return result;
}

/* sym w */
inline void symmetrised_gradient_at(__global const float *w, size_t at, const place_t here, slices_t result[PAIRS])
{
    __global const float *wz = w + Z * COMPONENT;
    __global const float *wx = w + X * COMPONENT;
    result[Z] = backward_z(wz, at, here);
    result[X] = backward_x(wx, at, here);
#if DIMS == 3
    __global const float *wy = w + Y * COMPONENT;
    result[Y] = backward_y(wy, at, here);
    result[3] = HALF_ROOT * (backward_z(wy, at, here) + backward_y(wz, at, here));
    result[4] = HALF_ROOT * (backward_z(wx, at, here) + backward_x(wz, at, here));
    result[5] = HALF_ROOT * (backward_y(wx, at, here) + backward_x(wy, at, here));
#else
    result[2] = HALF_ROOT * (backward_z(wx, at, here) + backward_x(wz, at, here));
#endif
}

/* sym^T q */
inline void symmetrised_gradient_transposed_at(
    __global const float *q, __global const float *scale, size_t at, const place_t here, slices_t result[DIMS])
{
#if DIMS == 3
    __global const float *zy = q + 3 * COMPONENT;
    __global const float *zx = q + 4 * COMPONENT;
    __global const float *yx = q + 5 * COMPONENT;
    result[Z] = backward_z_transposed(q + Z * COMPONENT, scale, at, here)
        + HALF_ROOT * (backward_y_transposed(zy, scale, at, here) + backward_x_transposed(zx, scale, at, here));
    result[Y] = backward_y_transposed(q + Y * COMPONENT, scale, at, here)
        + HALF_ROOT * (backward_z_transposed(zy, scale, at, here) + backward_x_transposed(yx, scale, at, here));
    result[X] = backward_x_transposed(q + X * COMPONENT, scale, at, here)
        + HALF_ROOT * (backward_z_transposed(zx, scale, at, here) + backward_y_transposed(yx, scale, at, here));
#else
    __global const float *zx = q + 2 * COMPONENT;
    result[Z] = backward_z_transposed(q + Z * COMPONENT, scale, at, here) + HALF_ROOT * backward_x_transposed(zx, scale, at, here);
    result[X] = backward_x_transposed(q + X * COMPONENT, scale, at, here) + HALF_ROOT * backward_z_transposed(zx, scale, at, here);
#endif
}
