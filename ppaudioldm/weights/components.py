"""The names of the sub-folders and files of checkpoint folders."""

# The sub-folders of a diffusers folder that hold networks, and its other configuration files.
COMPONENTS = ("unet", "vae", "vocoder", "text_encoder", "text_encoder_2", "language_model", "projection_model")
SCHEDULER = "scheduler/scheduler_config.json"
FEATURE_EXTRACTOR = "feature_extractor/preprocessor_config.json"

PADDLEMIX_FILE = "model_state.pdparams"
