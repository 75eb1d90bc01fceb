/* Singular values of the Jacobian of a pixel: the matrix (direction, channel) of the derivatives of all channels.
 *
 * A Jacobian is an array J[channel * DIMS + direction]. Its Gram matrix J J^T has the order DIMS, whatever the number
 * of channels, and is stored as the pairs of a symmetrised gradient are: the diagonal, then (zy, zx, yx) or (zx).
 * The singular values are the roots of its eigenvalues. Their closed form needs no function but the root.
 */
#if NUCLEAR
#define SYMMETRIC (DIMS * (DIMS + 1) / 2)

/* A symmetric matrix of order DIMS, taken apart. The eigenvalues are `extreme` (DIMS 3 only) and middle +- spread.
   projector: on the eigenvector of `extreme`; split: on those of middle + spread less that of middle - spread, or any
   matrix no larger than that where they are the same to rounding. */
typedef struct {
    slices_t extreme, middle, spread;
    slices_t projector[SYMMETRIC];
    slices_t split[SYMMETRIC];
} parts_t;

#if DIMS == 3
inline slices_t squared_norm_of(const slices_t *m)
{
    return m[0] * m[0] + m[1] * m[1] + m[2] * m[2] + 2.0f * (m[3] * m[3] + m[4] * m[4] + m[5] * m[5]);
}

/* m <- (1 - p) m (1 - p) for a projector p: where m is nothing but rounding errors, it must not mix them into the
   direction of a large singular value. */
inline void leave_out(const slices_t *p, slices_t *m)
{
    const int index[3][3] = { { 0, 3, 4 }, { 3, 1, 5 }, { 4, 5, 2 } };
    slices_t product[3][3];
#pragma unroll
    for (int i = 0; i < 3; ++i)
#pragma unroll
        for (int j = 0; j < 3; ++j)
            product[i][j] = p[index[i][0]] * m[index[0][j]] + p[index[i][1]] * m[index[1][j]] + p[index[i][2]] * m[index[2][j]];
#pragma unroll
    for (int i = 0; i < 3; ++i)
#pragma unroll
        for (int j = i; j < 3; ++j)
            m[index[i][j]] += product[i][0] * p[index[0][j]] + product[i][1] * p[index[1][j]] + product[i][2] * p[index[2][j]]
                - product[i][j] - product[j][i];
}

/* With q the mean of the eigenvalues and p^2 a sixth of the squared norm of m - q, b = (m - q) / p has the
   eigenvalues 2 cos(...) of the cubic x^3 - 3 x - det b. One of them is at least sqrt 3 away from both others: the
   largest for det b >= 0, the smallest else. That one is found by Newton's method and the projector on its eigenvector
   from the adjugate of b - x, both without loss of digits. What is left of b has the order 2. */
inline parts_t take_apart(const slices_t *m)
{
    const slices_t mean = (m[0] + m[1] + m[2]) * (1.0f / 3.0f);
    slices_t b[6] = { m[0] - mean, m[1] - mean, m[2] - mean, m[3], m[4], m[5] };
    const slices_t rounding = (b[0] + b[1] + b[2]) * (1.0f / 3.0f); /* of the mean: as large as b where m is round */
    b[0] -= rounding;
    b[1] -= rounding;
    b[2] -= rounding;
    const slices_t size = sqrt(squared_norm_of(b) * (1.0f / 6.0f));
    const slices_t inverse_size = size > 0.0f ? 1.0f / size : ZERO;
#pragma unroll
    for (int k = 0; k < 6; ++k)
        b[k] *= inverse_size;
    const slices_t determinant = b[0] * (b[1] * b[2] - b[5] * b[5]) - b[3] * (b[3] * b[2] - b[5] * b[4])
        + b[4] * (b[3] * b[5] - b[1] * b[4]);
    const slices_t positive = determinant < 0.0f ? -determinant : determinant;
    const slices_t c = positive > 2.0f ? (slices_t)(2.0f) : positive;
    slices_t x = 1.7320508f + c * (0.16666667f - 0.016358f * c);
#pragma unroll
    for (int step = 0; step < 2; ++step)
        x = (2.0f * x * x * x + c) / (3.0f * x * x - 3.0f);
    x = determinant < 0.0f ? -x : x;

    const slices_t d0 = b[0] - x, d1 = b[1] - x, d2 = b[2] - x;
    parts_t parts;
    parts.projector[0] = d1 * d2 - b[5] * b[5];
    parts.projector[1] = d0 * d2 - b[4] * b[4];
    parts.projector[2] = d0 * d1 - b[3] * b[3];
    parts.projector[3] = b[4] * b[5] - b[3] * d2;
    parts.projector[4] = b[3] * b[5] - b[4] * d1;
    parts.projector[5] = b[3] * b[4] - b[5] * d0;
    const slices_t inverse_trace = 1.0f / (parts.projector[0] + parts.projector[1] + parts.projector[2]);
#pragma unroll
    for (int k = 0; k < 6; ++k) {
        parts.projector[k] *= inverse_trace;
        parts.split[k] = b[k] - 1.5f * x * parts.projector[k] + (k < 3 ? 0.5f * x : ZERO);
    }
    leave_out(parts.projector, parts.split);
    const slices_t spread = sqrt(0.5f * squared_norm_of(parts.split));
    const slices_t inverse_spread = spread > 0.0f ? 1.0f / spread : ZERO;
#pragma unroll
    for (int k = 0; k < 6; ++k)
        parts.split[k] *= inverse_spread;
    parts.extreme = mean + size * x;
    parts.middle = mean - 0.5f * size * x;
    parts.spread = size * spread;
    return parts;
}
#else
inline parts_t take_apart(const slices_t *m)
{
    parts_t parts;
    const slices_t difference = 0.5f * (m[0] - m[1]);
    parts.extreme = ZERO;
    parts.middle = 0.5f * (m[0] + m[1]);
    parts.spread = sqrt(difference * difference + m[2] * m[2]);
    const slices_t inverse_spread = parts.spread > 0.0f ? 1.0f / parts.spread : ZERO;
    parts.split[0] = difference * inverse_spread;
    parts.split[1] = -difference * inverse_spread;
    parts.split[2] = m[2] * inverse_spread;
    return parts;
}
#endif

/* gram += one channel's part of J J^T */
inline void add_to_gram(slices_t *gram, const slices_t *of_channel)
{
    int pair = DIMS;
#pragma unroll
    for (int i = 0; i < DIMS; ++i) {
        gram[i] += of_channel[i] * of_channel[i];
#pragma unroll
        for (int j = i + 1; j < DIMS; ++j, ++pair)
            gram[pair] += of_channel[i] * of_channel[j];
    }
}

/* Square of the largest singular value, from the Gram matrix. */
inline slices_t largest_squared(const slices_t *gram)
{
    const parts_t parts = take_apart(gram);
    const slices_t larger = parts.middle + parts.spread;
    return larger > parts.extreme ? larger : parts.extreme;
}

/* What a singular value is multiplied by to be at most radius; its square may be rounded to below 0. */
inline slices_t cut_off(slices_t squared, float radius)
{
    return squared > radius * radius ? radius / sqrt(squared) : (slices_t)(1.0f);
}

/* The symmetric matrix by which a Jacobian is multiplied from the left so that its singular values are at most radius:
   the projection on the ball of the spectral norm, times factor. */
inline void projection_of(const slices_t *gram, const float radius, const float factor, slices_t *matrix)
{
    const parts_t parts = take_apart(gram);
    const slices_t larger = cut_off(parts.middle + parts.spread, radius);
    const slices_t smaller = cut_off(parts.middle - parts.spread, radius);
    const slices_t mean = 0.5f * (larger + smaller), spread = 0.5f * (larger - smaller);
#if DIMS == 3
    const slices_t extreme = cut_off(parts.extreme, radius) - mean;
#endif
#pragma unroll
    for (int k = 0; k < SYMMETRIC; ++k) {
        matrix[k] = spread * parts.split[k] + (k < DIMS ? mean : ZERO);
#if DIMS == 3
        matrix[k] += extreme * parts.projector[k];
#endif
        matrix[k] *= factor;
    }
}

inline void multiply(const slices_t *matrix, const slices_t *vector, slices_t *product)
{
#pragma unroll
    for (int i = 0; i < DIMS; ++i)
        product[i] = matrix[i] * vector[i];
    int pair = DIMS;
#pragma unroll
    for (int i = 0; i < DIMS; ++i) {
#pragma unroll
        for (int j = i + 1; j < DIMS; ++j, ++pair) {
            product[i] += matrix[pair] * vector[j];
            product[j] += matrix[pair] * vector[i];
        }
    }
}

/* Sum of the singular values, which are not found one by one: the small ones would lose their digits in the Gram
   matrix. J has the singular values of the triangle R that is left when its directions are made orthogonal. With the
   squared norm F^2, the sum T of the products of two and the product D of all three,
       S^2 = F^2 + 2 T,   T^2 = (sum of the squared minors of order 2 of R) + 2 D S,
   which contracts by at least 9 in every step; with two directions D = 0. The directions of J are changed. */
inline slices_t nuclear_norm(slices_t *jacobian)
{
    slices_t triangle[SYMMETRIC]; /* the diagonal, then the others row by row */
    slices_t squares = ZERO;
    for (int k = 0; k < CHANNELS * DIMS; ++k)
        squares += jacobian[k] * jacobian[k];
    int pair = DIMS;
    for (int i = 0; i < DIMS; ++i) {
        slices_t squared = ZERO;
        for (int c = 0; c < CHANNELS; ++c)
            squared += jacobian[c * DIMS + i] * jacobian[c * DIMS + i];
        triangle[i] = sqrt(squared);
        const slices_t inverse = squared > 0.0f ? 1.0f / squared : ZERO;
        for (int j = i + 1; j < DIMS; ++j, ++pair) {
            slices_t product = ZERO;
            for (int c = 0; c < CHANNELS; ++c)
                product += jacobian[c * DIMS + i] * jacobian[c * DIMS + j];
            triangle[pair] = product * inverse * triangle[i];
            for (int c = 0; c < CHANNELS; ++c)
                jacobian[c * DIMS + j] -= product * inverse * jacobian[c * DIMS + i];
        }
    }
#if DIMS == 3
    const slices_t r00 = triangle[0], r11 = triangle[1], r22 = triangle[2];
    const slices_t r01 = triangle[3], r02 = triangle[4], r12 = triangle[5];
    const slices_t corner = r01 * r12 - r02 * r11;
    const slices_t minors = r00 * r00 * (r11 * r11 + r12 * r12 + r22 * r22) + corner * corner
        + r22 * r22 * (r01 * r01 + r11 * r11);
    const slices_t all = r00 * r11 * r22;
    slices_t sum = sqrt(squares + 2.0f * sqrt(minors));
    for (int step = 0; step < 7; ++step)
        sum = sqrt(squares + 2.0f * sqrt(minors + 2.0f * all * sum));
    return sum;
#else
    return sqrt(squares + 2.0f * triangle[0] * triangle[1]);
#endif
}
#endif
