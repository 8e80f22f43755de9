"""The CPU engine: networks translated from Paddle to OpenVINO, cached on disk and compiled."""
