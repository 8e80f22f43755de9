"""Training: a stage for each network (VAE, CLAP, AudioMAE, text-to-latents, vocoder), and the loop that they share."""
