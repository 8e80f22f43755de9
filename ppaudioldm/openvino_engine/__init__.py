"""The CPU engine: networks translated from Paddle programs to OpenVINO, cached on disk and compiled."""
