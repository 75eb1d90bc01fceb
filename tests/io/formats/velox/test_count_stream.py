"""The stream of X-ray counts: what is written in its form comes back, however it is cut."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.errors import ReadError
from chemtomo.io.formats.velox.count_stream import Stream, decode, lazy_spectra

_NEXT_PIXEL = 65535


def _encode(frames: np.ndarray) -> np.ndarray:
    """Return frames (frame, y, x, energy) of counts as a stream."""
    pixels = frames.reshape(-1, frames.shape[-1])
    numbers: list[int] = []
    for index, spectrum in enumerate(pixels):
        if index:
            numbers.append(_NEXT_PIXEL)
        numbers += np.repeat(np.arange(spectrum.size), spectrum).tolist()
    return np.array(numbers, dtype=np.uint16)


@st.composite
def _frames(draw):
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 6)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return rng.poisson(0.7, shape)


def _dense(pixel, channel, shape):
    found = np.zeros((shape[1] * shape[2], shape[3]), int)
    np.add.at(found, (pixel, channel), 1)
    return found.reshape(shape[1:])


@given(_frames(), st.integers(1, 7))
def test_frames_are_summed_and_pieces_do_not_matter(frames, piece):
    numbers = _encode(frames)
    pixels = frames.shape[1] * frames.shape[2]
    found, start = [], 0
    for first in range(0, numbers.size, piece):
        pixel, channel, start = decode(numbers[first : first + piece], pixels, None, start)
        found.append(_dense(pixel, channel, frames.shape))
    np.testing.assert_array_equal(sum(found, np.zeros(frames.shape[1:], int)), frames.sum(axis=0))


@given(_frames())
def test_frames_after_the_last_one_are_left_out(frames):
    pixel, channel, _ = decode(_encode(frames), frames.shape[1] * frames.shape[2], frames=1)
    np.testing.assert_array_equal(_dense(pixel, channel, frames.shape), frames[0])


def _stream(path, detectors, shape, channels, frames=None):
    with h5py.File(path, "w") as file:
        for name, numbers in detectors.items():
            file[name] = numbers[:, np.newaxis]
    return Stream(path, tuple(f"/{name}" for name in detectors), shape, channels, frames)


def test_detectors_are_summed_in_blocks_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("chemtomo.io.formats.velox.count_stream._BLOCK_BYTES", 5 * 8 * 2 * 2)  # two rows
    rng = np.random.default_rng(1)
    counts = [rng.poisson(0.5, (2, 7, 5, 8)) for _ in range(3)]
    detectors = {f"d{index}": _encode(one) for index, one in enumerate(counts)}
    spectra = lazy_spectra(_stream(tmp_path / "s.emd", detectors, (7, 5), 8))
    assert spectra.chunks[0] == (2, 2, 2, 1)
    np.testing.assert_array_equal(np.asarray(spectra), sum(one.sum(axis=0) for one in counts))
    np.testing.assert_array_equal(np.asarray(spectra[3]), sum(one.sum(axis=0) for one in counts)[3])


def test_a_channel_that_does_not_exist_is_an_error(tmp_path):
    stream = _stream(tmp_path / "s.emd", {"d": np.array([3, 65535, 9], np.uint16)}, (1, 2), 8)
    with pytest.raises(ReadError, match=r"s\.emd.*channel 9.*less than 8"):
        np.asarray(lazy_spectra(stream))


def test_a_file_that_is_gone_is_named(tmp_path):
    spectra = lazy_spectra(_stream(tmp_path / "s.emd", {"d": np.array([3], np.uint16)}, (1, 1), 8))
    (tmp_path / "s.emd").unlink()
    with pytest.raises(ReadError, match=r"s\.emd.*as it was"):
        np.asarray(spectra)
