/* Complex arithmetic and fast Fourier transforms on vectors of slices.
 *
 * Every lane of `slices_t` is a transform of its own, so no lane ever waits for another. Lengths have
 * no prime factors but 2, 3 and 5. roots[k] = exp(-2 pi i k / n).
 */
typedef struct {
    slices_t re, im;
} complex_t;

inline complex_t sum_of(complex_t a, complex_t b)
{
    complex_t r = { a.re + b.re, a.im + b.im };
    return r;
}
inline complex_t difference_of(complex_t a, complex_t b)
{
    complex_t r = { a.re - b.re, a.im - b.im };
    return r;
}
/* a * w */
inline complex_t turned(complex_t a, float2 w)
{
    complex_t r = { a.re * w.x - a.im * w.y, a.re * w.y + a.im * w.x };
    return r;
}

/* One stage of a Stockham transform: n points in transforms of length `length`, `stride` interleaved. */
inline void radix_2(const complex_t *in, complex_t *out, int length, int stride, __global const float2 *roots, float sign)
{
    const int m = length / 2;
    for (int p = 0; p < m; ++p) {
        const float2 root = roots[p * stride];
        const float2 w = (float2)(root.x, sign * root.y);
        for (int q = 0; q < stride; ++q) {
            const complex_t a = in[q + stride * p], b = in[q + stride * (p + m)];
            out[q + stride * 2 * p] = sum_of(a, b);
            out[q + stride * (2 * p + 1)] = turned(difference_of(a, b), w);
        }
    }
}

inline void radix_3(const complex_t *in, complex_t *out, int length, int stride, __global const float2 *roots, float sign)
{
    const int m = length / 3;
    const float height = sign * 0.86602540f;
    for (int p = 0; p < m; ++p) {
        const float2 r1 = roots[p * stride], r2 = roots[2 * p * stride];
        const float2 w1 = (float2)(r1.x, sign * r1.y), w2 = (float2)(r2.x, sign * r2.y);
        for (int q = 0; q < stride; ++q) {
            const complex_t a = in[q + stride * p], b = in[q + stride * (p + m)], c = in[q + stride * (p + 2 * m)];
            const complex_t s = sum_of(b, c), d = difference_of(b, c);
            const complex_t middle = { a.re - 0.5f * s.re, a.im - 0.5f * s.im };
            const complex_t side = { height * d.im, -height * d.re };
            out[q + stride * 3 * p] = sum_of(a, s);
            out[q + stride * (3 * p + 1)] = turned(sum_of(middle, side), w1);
            out[q + stride * (3 * p + 2)] = turned(difference_of(middle, side), w2);
        }
    }
}

inline void radix_4(const complex_t *in, complex_t *out, int length, int stride, __global const float2 *roots, float sign)
{
    const int m = length / 4;
    for (int p = 0; p < m; ++p) {
        const float2 r1 = roots[p * stride], r2 = roots[2 * p * stride], r3 = roots[3 * p * stride];
        const float2 w1 = (float2)(r1.x, sign * r1.y), w2 = (float2)(r2.x, sign * r2.y), w3 = (float2)(r3.x, sign * r3.y);
        for (int q = 0; q < stride; ++q) {
            const complex_t a = in[q + stride * p], b = in[q + stride * (p + m)];
            const complex_t c = in[q + stride * (p + 2 * m)], d = in[q + stride * (p + 3 * m)];
            const complex_t ac = sum_of(a, c), bd = sum_of(b, d);
            const complex_t a_c = difference_of(a, c), b_d = difference_of(b, d);
            const complex_t turned_b_d = { sign * b_d.im, -sign * b_d.re }; /* -i (b - d) forward */
            out[q + stride * 4 * p] = sum_of(ac, bd);
            out[q + stride * (4 * p + 1)] = turned(sum_of(a_c, turned_b_d), w1);
            out[q + stride * (4 * p + 2)] = turned(difference_of(ac, bd), w2);
            out[q + stride * (4 * p + 3)] = turned(difference_of(a_c, turned_b_d), w3);
        }
    }
}

inline void radix_5(const complex_t *in, complex_t *out, int length, int stride, __global const float2 *roots, float sign)
{
    const int m = length / 5;
    const float c1 = 0.30901699f, c2 = -0.80901699f, s1 = sign * 0.95105652f, s2 = sign * 0.58778525f;
    for (int p = 0; p < m; ++p) {
        float2 w[4];
        for (int k = 0; k < 4; ++k) {
            const float2 root = roots[(k + 1) * p * stride];
            w[k] = (float2)(root.x, sign * root.y);
        }
        for (int q = 0; q < stride; ++q) {
            const complex_t a = in[q + stride * p];
            const complex_t b = in[q + stride * (p + m)], e = in[q + stride * (p + 4 * m)];
            const complex_t c = in[q + stride * (p + 2 * m)], d = in[q + stride * (p + 3 * m)];
            const complex_t be = sum_of(b, e), cd = sum_of(c, d);
            const complex_t b_e = difference_of(b, e), c_d = difference_of(c, d);
            const complex_t near = { a.re + c1 * be.re + c2 * cd.re, a.im + c1 * be.im + c2 * cd.im };
            const complex_t far = { a.re + c2 * be.re + c1 * cd.re, a.im + c2 * be.im + c1 * cd.im };
            const complex_t near_side = { s1 * b_e.im + s2 * c_d.im, -s1 * b_e.re - s2 * c_d.re };
            const complex_t far_side = { s2 * b_e.im - s1 * c_d.im, -s2 * b_e.re + s1 * c_d.re };
            out[q + stride * 5 * p] = sum_of(a, sum_of(be, cd));
            out[q + stride * (5 * p + 1)] = turned(sum_of(near, near_side), w[0]);
            out[q + stride * (5 * p + 2)] = turned(sum_of(far, far_side), w[1]);
            out[q + stride * (5 * p + 3)] = turned(difference_of(far, far_side), w[2]);
            out[q + stride * (5 * p + 4)] = turned(difference_of(near, near_side), w[3]);
        }
    }
}

/* Transform n points between two workspaces; sign 1 forward, -1 backward, not normalised.
   Returns the workspace with the result. */
inline complex_t *transform(complex_t *data, complex_t *other, const int n, __global const float2 *roots, const float sign)
{
    int length = n, stride = 1;
    while (length > 1) {
        int radix;
        if (length % 4 == 0) {
            radix = 4;
            radix_4(data, other, length, stride, roots, sign);
        } else if (length % 2 == 0) {
            radix = 2;
            radix_2(data, other, length, stride, roots, sign);
        } else if (length % 3 == 0) {
            radix = 3;
            radix_3(data, other, length, stride, roots, sign);
        } else {
            radix = 5;
            radix_5(data, other, length, stride, roots, sign);
        }
        complex_t *swap = data;
        data = other;
        other = swap;
        length /= radix;
        stride *= radix;
    }
    return data;
}

/* Transpose WIDTH vectors: lane j of vector i becomes lane i of vector j. */
inline void transpose(slices_t v[WIDTH])
{
#if WIDTH == 8
    for (int i = 0; i < 4; ++i) {
        const slices_t low = (float8)(v[i].lo, v[i + 4].lo);
        v[i + 4] = (float8)(v[i].hi, v[i + 4].hi);
        v[i] = low;
    }
#endif
#if WIDTH >= 4
    for (int i = 0; i < WIDTH; i += (i % 4 == 1) ? 3 : 1) {
        const slices_t a = v[i], b = v[i + 2];
#if WIDTH == 8
        v[i] = (float8)(a.s01, b.s01, a.s45, b.s45);
        v[i + 2] = (float8)(a.s23, b.s23, a.s67, b.s67);
#else
        v[i] = (float4)(a.s01, b.s01);
        v[i + 2] = (float4)(a.s23, b.s23);
#endif
    }
#endif
#if WIDTH >= 2
    for (int i = 0; i < WIDTH; i += 2) {
        const slices_t a = v[i], b = v[i + 1];
#if WIDTH == 8
        v[i] = (float8)(a.s0, b.s0, a.s2, b.s2, a.s4, b.s4, a.s6, b.s6);
        v[i + 1] = (float8)(a.s1, b.s1, a.s3, b.s3, a.s5, b.s5, a.s7, b.s7);
#elif WIDTH == 4
        v[i] = (float4)(a.s0, b.s0, a.s2, b.s2);
        v[i + 1] = (float4)(a.s1, b.s1, a.s3, b.s3);
#else
        v[i] = (float2)(a.s0, b.s0);
        v[i + 1] = (float2)(a.s1, b.s1);
#endif
    }
#endif
}
