"""The names that an evaluation chooses from. Light: `ppaudioldm evaluate --help` imports it."""

EMBEDDINGS = ("clap", "audiomae", "classifier")
REAL, VOCODED, ROUND_TRIP, GENERATED = STAGES = ("real", "vocoder", "vae", "generated")  # see `pipeline_stages`
LEVELS = ("a", "b")  # of difficulty: sets of kinds of sound that `ppaudioldm.sounds` lists
