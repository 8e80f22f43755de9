"""The names that an evaluation chooses from. Light: `ppaudioldm evaluate --help` imports it."""

EMBEDDINGS = ("clap", "audiomae", "classifier")
REAL, VOCODED, ROUND_TRIP, GENERATED = STAGES = ("real", "vocoder", "vae", "generated")  # see `pipeline_stages`
ALL = "all"  # level: all kinds, or those that a checkpoint knows
LEVELS = ("a", "b")  # of difficulty: choices of the simple sounds, as `ppaudioldm.sounds` lists them
MAX_CLIPS_PER_KIND = 1000
SIMPLE, COLLECTION = SOUND_SETS = ("simple", "collection")  # see `sound_sets`
JUDGED_FROM = 0.9  # of the real clips of a kind have to be recognised, or generated ones cannot be judged
SENTENCE_SETS = ("commands", "harvard")  # held-out sentences: `sounds.speech.held_out`
