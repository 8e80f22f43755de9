# Copyright (c) 2026 PaddlePaddle Authors. All Rights Reserved.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

import tempfile
import unittest

import numpy as np
import paddle

from paddlemix.models.audioldm2.configuration import AudioLDM2Config
from paddlemix.models.audioldm2.modeling import AudioLDM2Model


class AudioLDM2ModelTester:
    """The smallest model, with random weights."""

    batch_size = 2
    duration = 0.4

    def get_config(self):
        return AudioLDM2Config("untrained")

    def prepare_inputs(self):
        return {
            "batch": {"text": ["a dog barks", "rain"]},
            "ddim_steps": 2,
            "n_gen": 2,
            "unconditional_guidance_scale": 3.5,
            "duration": self.duration,
        }


class AudioLDM2ModelTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tester = AudioLDM2ModelTester()
        cls.model = AudioLDM2Model(cls.tester.get_config())
        cls.model.eval()

    def waveforms(self, model=None, **changed):
        paddle.seed(1)
        return (model or self.model)(**{**self.tester.prepare_inputs(), **changed})

    def test_config(self):
        config = self.tester.get_config()
        self.assertEqual((config.sampling_rate, config.channels, config.latent_f_size), (16000, 8, 16))
        again = AudioLDM2Config(**config.to_dict())
        self.assertEqual(again.model_config(), config.model_config())
        self.assertEqual(AudioLDM2Config("haoheliu/audioldm2-full").model_name, "audioldm2-full")
        with self.assertRaisesRegex(ValueError, "unknown model_name 'audioldm9'"):
            AudioLDM2Config("audioldm9")

    def test_forward(self):
        waveforms = self.waveforms()
        samples = round(self.tester.duration * self.model.config.sampling_rate)
        self.assertEqual(waveforms.shape, (self.tester.batch_size, 1, samples))
        self.assertTrue(np.isfinite(waveforms).all() and waveforms.std() > 0)

    def test_determinism(self):
        first, second = self.waveforms(), self.waveforms()
        self.assertLessEqual(np.abs(first - second).max(), 1e-5)
        other = self.waveforms(seed=9)
        self.assertGreater(np.abs(first - other).max(), 1e-3)

    def test_save_load(self):
        with tempfile.TemporaryDirectory() as folder:
            self.model.save_pretrained(folder)
            loaded = AudioLDM2Model.from_pretrained(folder, engine="eager")
            difference = np.abs(self.waveforms() - self.waveforms(loaded)).max()
        self.assertLessEqual(difference, 1e-5)

    def test_wrong_values(self):
        for changed, message in (({"ddim_steps": 0}, "num_inference_steps"), ({"duration": 1e6}, "duration")):
            with self.subTest(message), self.assertRaisesRegex(ValueError, message):
                self.waveforms(**changed)
        with self.assertRaisesRegex(ValueError, "no-such-model"):
            AudioLDM2Model.from_pretrained("no-such-model")


if __name__ == "__main__":
    unittest.main()
