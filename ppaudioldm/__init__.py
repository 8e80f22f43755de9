"""ppaudioldm: AudioLDM 2 for PaddlePaddle."""
