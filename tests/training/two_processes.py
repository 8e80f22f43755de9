"""What each of two processes does in `test_parallel`: the arguments are a folder and the names of CASES."""

import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from ppaudioldm import framework
from ppaudioldm.training import clap, loop, parallel
from ppaudioldm.training.audiomae import AudioMAEStage
from ppaudioldm.training.clap import ClapStage
from ppaudioldm.training.dataset import SynthesisedClips
from ppaudioldm.training.joint import JointStage
from ppaudioldm.training.settings import RunConfig
from ppaudioldm.training.vae import VAEStage
from ppaudioldm.training.vocoder import VocoderStage
from tests.training import test_audiomae, test_clap, test_vae, test_vocoder
from tests.training.support import NoiseClips, stop_after
from tests.training.test_loop import RUN, LineStage

STEPS = 2  # of the real stages
ONLY_STEPS = RunConfig(steps=10**6, log_every=1, evaluate_every=10**6, save_minutes=99, precision="f32")
VOCODER = replace(test_vocoder.SETTINGS, batch_size=2, adversarial=True, stft_weight=0.0, ema=0.5)


def learn(folder, process):
    loop.train(LineStage(), RUN, folder, process)


def stop(folder, process):
    """Only the second process is asked to stop."""
    should_stop = stop_after(5) if process.rank else lambda: False
    loop.train(LineStage(), replace(RUN, steps=10**6, save_minutes=99), folder, process, should_stop=should_stop)


def fail(folder, process):
    """Only the second process has a bad recording."""
    stage = LineStage()
    good = stage.data

    def data(index):
        if index == 7:
            raise ValueError("bird.wav: holds NaN")
        return good(index)

    stage.data = data
    try:
        loop.train(stage, replace(RUN, save_minutes=99), folder, process)
    except ValueError as error:
        assert process.rank == 1 and "bird.wav" in str(error)
    else:
        assert process.rank == 0


def elsewhere(folder, process):
    """The second process looks into another folder, which has no state."""
    try:
        loop.train(
            LineStage(), replace(RUN, steps=20), folder.with_name("learn" if process.is_first else "no"), process
        )
    except ValueError as error:
        (folder / f"{process.rank}.txt").write_text(str(error))


def stages(folder, process):
    """Two steps of every real stage. Each process writes its weights."""
    clap.STATISTICS_CLIPS = 2
    joint = pickle.loads((folder / "joint.pickle").read_bytes())
    captioned = replace(test_clap.SETTINGS, batch_size=2, tokenizers=joint.tokenizers)
    makers = {
        "vae": lambda: VAEStage(test_vae.SETTINGS, clips=NoiseClips(7680)),
        "clap": lambda: ClapStage(captioned),
        "audiomae": lambda: AudioMAEStage(replace(test_audiomae.SETTINGS, batch_size=2)),
        "joint": lambda: JointStage(joint, clips=NoiseClips(8 * 640)),
        "vocoder": lambda: VocoderStage(VOCODER, clips=SynthesisedClips(1.0, ("rain",))),
    }
    for name, make in makers.items():
        stage = make()
        before = weights(stage)
        loop.train(stage, ONLY_STEPS, folder / name, process, should_stop=stop_after(STEPS))
        after = weights(stage)
        np.savez(folder / f"{name}-{process.rank}.npz", **after)
        assert any((after[key] != before[key]).any() for key in after), name


def weights(stage):
    return {
        f"{name}.{key}": np.array(framework.to_numpy(p))
        for name, network in stage.networks.items()
        for key, p in network.named_parameters()
    }


CASES = {"learn": learn, "stop": stop, "fail": fail, "elsewhere": elsewhere, "stages": stages}

if __name__ == "__main__":
    joined = parallel.join("cpu")
    assert joined.count == 2
    for case in sys.argv[2:]:
        place = Path(sys.argv[1], case)
        place.mkdir(exist_ok=True)
        CASES[case](place, joined)
    parallel.leave(joined)
