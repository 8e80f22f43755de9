"""DNSMOS, of the package speechmos, run by OpenVINO."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.evaluation.dnsmos import Dnsmos
from tests.support import noise

if not Dnsmos.is_available():
    pytest.skip("speechmos and openvino judge speech", allow_module_level=True)


def test_noise_lowers_the_opinion_of_the_background_most():
    times = np.arange(24000) / 16000
    pitch = 2 * np.pi * np.cumsum(120 + 10 * np.sin(2 * np.pi * times)) / 16000
    voice = sum(np.exp(-(((120 * k - 600) / 500) ** 2)) * np.sin(k * pitch) for k in range(1, 20))
    voice = (0.1 * voice * (np.sin(2 * np.pi * 2.5 * times) > 0)).astype(np.float32)
    dnsmos = Dnsmos()
    clean, noisy = (dnsmos.judge(voice + level * noise(24000)) for level in (1e-4, 0.03))
    assert clean.background - noisy.background > 1 and clean.overall > noisy.overall
    assert 1 <= noisy.background < clean.background <= 5
    with pytest.raises(ValueError, match="empty"):
        dnsmos.judge(voice[:0])
