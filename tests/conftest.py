import gc
import logging
import os
import sys

import pytest

# No test reaches the network. Before any import: huggingface_hub reads this once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Tests of the pipeline run it on the framework itself, unless they say otherwise.
os.environ["PPAUDIOLDM_ENGINE"] = "eager"


def pytest_addoption(parser):
    parser.addoption("--write-golden", action="store_true", help="store the references' outputs in tests/golden")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect the tests without a search for garbage, and leave what is there then out of every later one.

    The libraries that tests import are a million objects, through which Python would look again and again: a quarter of
    the time of collecting, and of many tests. Later searches begin less often, too.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 10, 10)
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Translated networks go to a folder of the run, which its worker processes share: each is translated once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "model-cache"
    folder.mkdir(exist_ok=True)
    os.environ["PPAUDIOLDM_CACHE"] = str(folder)


@pytest.fixture(scope="session", autouse=True)
def same_networks_once():
    """See `keep_networks`."""
    with pytest.MonkeyPatch.context() as patch:
        if "ppaudioldm.framework" in sys.modules:  # tests that need no framework do not wait for one
            from tests.kept_networks import keep_networks

            keep_networks(patch)
        yield


@pytest.fixture(autouse=True)
def log_as_it_was():
    """The command sets how its process logs, which is not for the tests after it."""
    logger = logging.getLogger("ppaudioldm")
    handlers, propagate = logger.handlers, logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate
