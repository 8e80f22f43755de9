"""Sections of latents: what each condition's frames are, and how they are joined."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppaudioldm import framework
from ppaudioldm.diffusion.sections import Sections, sections_over
from ppaudioldm.diffusion.windows import windows_over
from tests.support import noise

UNIT = 8


def sections_of(total: int, *borders: float, fade: float = 10.0, window: int = 64) -> Sections:
    return sections_over(windows_over(total, min(window, total)), borders, fade, UNIT)


def joined(sections: Sections, arrays: list[np.ndarray]) -> np.ndarray:
    return sections.join(arrays, np.asarray, np.concatenate)


@st.composite
def any_sections(draw: st.DrawFn) -> Sections:
    """Borders as far from each other and from the ends as a prompt has to hold: 3.75 frames and more."""
    total = UNIT * draw(st.integers(2, 60))
    places = draw(st.lists(st.floats(3.75, total - 3.75), max_size=8))
    borders: list[float] = []
    for place in sorted(places):
        if place - (borders[-1] if borders else 0.0) >= 3.75:
            borders.append(place)
    return sections_of(total, *borders, fade=draw(st.sampled_from([0.5, 5.0, 10.0])))


@given(any_sections())
def test_a_section_holds_its_frames_in_windows_of_at_most_two_lengths(sections):
    lengths = {section.windows.length for section in sections.sections}
    assert len(lengths) <= 2 and max(lengths) <= max(64, UNIT) and all(length % UNIT == 0 for length in lengths)
    for section in sections.sections:
        assert section.first <= section.begin < section.end <= section.first + section.windows.total
        assert section.windows.total % UNIT == 0
    assert sections.sections[0].first == 0 == sections.sections[0].begin
    last = sections.sections[-1]
    assert last.first + last.windows.total == last.end  # none goes on beyond the end of the clip
    for earlier, later in pairwise(sections.sections):
        assert later.begin <= earlier.end  # no frame is left out
    for section, after_next in zip(sections.sections, sections.sections[2:], strict=False):
        assert section.end <= after_next.begin  # and none belongs to three


@given(any_sections(), st.integers(0, 100))
def test_cut_sections_join_to_the_array(sections, seed):
    x = noise(2, sections.sections[-1].end, 3, seed=seed)
    np.testing.assert_allclose(joined(sections, sections.cut(x)), x, atol=1e-6)


@given(any_sections())
def test_each_frame_is_of_its_own_sections(sections):
    """Of sections that hold their number: it rises, by a half at a border, and is whole outside of cross-fades."""
    pieces = [np.full((1, s.windows.total, 1), i, np.float32) for i, s in enumerate(sections.sections)]
    values = joined(sections, pieces)[0, :, 0]
    assert len(values) == sections.sections[-1].end
    for frame, value in enumerate(values):
        middle = frame + 0.5
        numbers = [i for i, s in enumerate(sections.sections) if s.begin <= frame < s.end]
        assert min(numbers) <= value <= max(numbers)
        passed = sum(border <= middle for border in sections.borders)
        assert abs(value - passed) <= 0.5 + 1e-6
        fades = zip(sections.borders, sections.fades, strict=True)
        if all(abs(middle - border) >= width / 2 for border, width in fades):
            assert value == passed
    assert (np.diff(values) >= -1e-6).all()


def test_one_section_is_the_array_itself():
    sections = sections_of(64)
    x = noise(1, 64, 3)
    (piece,) = sections.cut(x)
    assert piece is x and joined(sections, [piece]) is piece


def test_a_cross_fade_is_shorter_where_borders_are_near():
    assert sections_of(128, 40.0, 80.0).fades == (10.0, 10.0)
    assert sections_of(128, 40.0, 44.0, 124.0).fades == (4.0, 4.0, 4.0)


@pytest.mark.parametrize(
    ("total", "borders", "lengths", "frames"),
    [
        (256, (85.0, 170.0), [96, 96, 96], 288),  # alike: one length
        (256, (200.0, 230.0), [208, 104, 104], 416),  # the short ones fit into half of the long one
        (640, (400.0, 620.0), [256, 256, 128], 896),  # none is longer than a window; with one prompt it is 768
    ],
)
def test_windows_are_about_as_long_as_their_section(total, borders, lengths, frames):
    """And the network sees hardly more frames than with one prompt."""
    sections = sections_of(total, *borders, window=256)
    assert [section.windows.length for section in sections.sections] == lengths
    assert sum(len(s.windows.starts) * s.windows.length for s in sections.sections) == frames


def test_tensors_are_treated_alike():
    sections = sections_of(128, 42.5, 85.0)
    x = noise(1, 2, 128, 3)
    pieces = sections.cut(framework.from_numpy(x))
    whole = sections.join([3 * piece for piece in pieces], framework.from_numpy, framework.xp.concat)
    np.testing.assert_allclose(framework.to_numpy(whole), 3 * x, atol=1e-5)
