import os

# No test reaches the network. Before any import: huggingface_hub reads this once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_addoption(parser):
    parser.addoption("--write-golden", action="store_true", help="store the references' outputs in tests/golden")
