"""Checkpoints as programs for Paddle Inference or models for OpenVINO, with a runner that needs no ppaudioldm."""
