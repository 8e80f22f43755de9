"""Text front-ends: subword tokenizers of the text encoders, phonemes of the speech checkpoints."""
