"""One call of `AudioLDM.generate`: options, conditioning, denoising, decoding, and the best candidate."""
