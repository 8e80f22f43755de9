import torch

from ppaudioldm import framework

if framework.NAME == "paddle":
    # Two OpenMP runtimes in one process: PyTorch's libgomp beside Paddle's libiomp5. With several threads PyTorch 2.13
    # then computes some transposed convolutions wrong by 10 %, such as the second of the 48 kHz vocoder.
    torch.set_num_threads(1)
