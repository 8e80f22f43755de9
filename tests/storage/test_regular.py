import os

import pytest

from ppaudioldm.storage.regular import is_device_or_pipe, open_regular, read_bounded
from tests.support import at_most

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")


def test_pipes_and_devices_are_refused_and_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with at_most(5), pytest.raises(ValueError, match="a device or pipe, expected a file"):
            open_regular(path)
    assert not is_device_or_pipe(tmp_path)


def test_a_file_is_read_up_to_the_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bounded(tmp_path / "file", 5) == b"12345"
    with pytest.raises(ValueError, match="too large, allowed: 4 bytes"):
        read_bounded(tmp_path / "file", 4)
    with pytest.raises(OSError, match="No such file"):
        read_bounded(tmp_path / "none", 4)
    with pytest.raises(OSError, match="directory"):
        read_bounded(tmp_path, 4)
