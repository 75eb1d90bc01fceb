/* Channels with larger pixels: see chemtomo.operators.BinnedProjector. Sinograms are (block, tilt, detector, lane).
 *
 * One work item has one cell of factor x factor pixels, which may lie in several blocks, and is idle for the other
 * pixels of the cell. Global size: (BLOCK, detectors, blocks * tilts).
 */
inline size_t pixel_index(
    const int channel, const int y, const int detector, const int tilt, const int tilts, const int detectors,
    const int chunks)
{
    const size_t block = (size_t)(channel / PER_BLOCK) * chunks + y / CHUNK;
    return ((block * tilts + tilt) * detectors + detector) * BLOCK + (channel % PER_BLOCK) * CHUNK + y % CHUNK;
}

typedef struct {
    int channel, y, detector, tilt, factor; /* the factor is 0 for an idle work item */
} cell_t;

inline cell_t own_cell(
    __global const float *factors, const int tilts, const int detectors, const int chunks, const int slices)
{
    const int lane = get_global_id(0);
    const size_t block = get_global_id(2) / tilts;
    cell_t cell;
    cell.detector = get_global_id(1);
    cell.tilt = get_global_id(2) % tilts;
    cell.channel = (int)(block / chunks) * PER_BLOCK + lane / CHUNK;
    cell.y = (int)(block % chunks) * CHUNK + lane % CHUNK;
    cell.factor = 0;
    if (lane >= PER_BLOCK * CHUNK || cell.detector >= detectors || cell.channel >= CHANNELS || cell.y >= slices)
        return cell;
    const int factor = (int)factors[cell.channel];
    cell.factor = cell.y % factor == 0 && cell.detector % factor == 0 ? factor : 0;
    return cell;
}

/* The first pixel of a cell <- its sum over the factor, the others <- 0 */
__kernel void bin_cells(
    __global float *sinogram, __global const float *factors, const int tilts, const int detectors, const int chunks,
    const int slices)
{
    const cell_t cell = own_cell(factors, tilts, detectors, chunks, slices);
    if (cell.factor <= 1)
        return;
    float sum = 0.0f;
    for (int row = 0; row < cell.factor; ++row) {
        for (int column = 0; column < cell.factor; ++column) {
            const size_t at = pixel_index(
                cell.channel, cell.y + row, cell.detector + column, cell.tilt, tilts, detectors, chunks);
            sum += sinogram[at];
            sinogram[at] = 0.0f;
        }
    }
    sinogram[pixel_index(cell.channel, cell.y, cell.detector, cell.tilt, tilts, detectors, chunks)] =
        sum / (float)cell.factor;
}

/* All pixels of a cell of `spread` <- the first one of `binned` over the factor. Both may be the same buffer. */
__kernel void spread_cells(
    __global const float *binned, __global float *spread, __global const float *factors, const int tilts,
    const int detectors, const int chunks, const int slices)
{
    const cell_t cell = own_cell(factors, tilts, detectors, chunks, slices);
    if (cell.factor < 1)
        return;
    const float value =
        binned[pixel_index(cell.channel, cell.y, cell.detector, cell.tilt, tilts, detectors, chunks)]
        / (float)cell.factor;
    for (int row = 0; row < cell.factor; ++row) {
        for (int column = 0; column < cell.factor; ++column) {
            spread[pixel_index(
                cell.channel, cell.y + row, cell.detector + column, cell.tilt, tilts, detectors, chunks)] = value;
        }
    }
}
