def pytest_addoption(parser):
    parser.addoption("--write-golden", action="store_true", help="store the references' outputs in tests/golden")
