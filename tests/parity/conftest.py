import torch

_forward = torch.nn.ConvTranspose1d.forward


def _exact_forward(self, x, output_size=None):
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False
    try:
        return _forward(self, x, output_size)
    finally:
        torch.backends.mkldnn.enabled = before


# The references' transposed convolutions: `framework.ConvTranspose1d` says what is wrong with PyTorch's.
torch.nn.ConvTranspose1d.forward = _exact_forward
