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

import unittest

import numpy as np
import paddle

from ppdiffusers import AudioLDM2UnifiedPipeline


class AudioLDM2UnifiedPipelineFastTests(unittest.TestCase):
    """With the smallest checkpoint, whose weights are random."""

    @classmethod
    def setUpClass(cls):
        cls.pipe = AudioLDM2UnifiedPipeline.from_pretrained("untrained", engine="eager", device="cpu")
        cls.pipe.set_progress_bar_config(disable=True)

    def get_dummy_inputs(self, seed=0):
        return {
            "prompt": "A hammer hitting a wooden surface",
            "generator": paddle.Generator().manual_seed(seed),
            "num_inference_steps": 2,
            "guidance_scale": 6.0,
            "audio_length_in_s": 0.4,
        }

    def audios(self, **changed):
        return self.pipe(**{**self.get_dummy_inputs(), **changed}).audios

    def test_audioldm2(self):
        audios = self.audios()
        self.assertEqual(audios.shape, (1, round(0.4 * self.pipe.vocoder.config.sampling_rate)))
        self.assertTrue(np.isfinite(audios).all())
        self.assertLessEqual(np.abs(audios - self.audios()).max(), 1e-5)

    def test_return_dict(self):
        (audios,) = self.pipe(**self.get_dummy_inputs(), return_dict=False)
        self.assertLessEqual(np.abs(audios - self.audios()).max(), 1e-5)

    def test_num_waveforms_per_prompt(self):
        self.assertEqual(len(self.audios(num_waveforms_per_prompt=2)), 2)
        self.assertEqual(len(self.audios(prompt=["rain", "a dog"], negative_prompt=["x", "y"])), 2)

    def test_prompt_embeds(self):
        embeds, mask, generated = self.pipe.encode_prompt(
            "A hammer hitting a wooden surface", do_classifier_free_guidance=False
        )
        audios = self.audios(prompt=None, prompt_embeds=embeds, attention_mask=mask, generated_prompt_embeds=generated)
        self.assertLessEqual(np.abs(audios - self.audios()).max(), 1e-3)

    def test_callback(self):
        seen = []
        self.audios(callback=lambda step, timestep, latents: seen.append((step, type(latents))))
        self.assertEqual(seen, [(0, paddle.Tensor), (1, paddle.Tensor)])

    def test_latents(self):
        latents = self.audios(output_type="latent")
        self.assertIsInstance(latents, paddle.Tensor)
        self.assertEqual(list(latents.shape), [1, 8, 10, 16])

    def test_wrong_values(self):
        with self.assertRaisesRegex(ValueError, "audio_length_in_s"):
            self.audios(audio_length_in_s=-1)
        with self.assertRaisesRegex(ValueError, "only the scheduler can"):
            AudioLDM2UnifiedPipeline.from_pretrained("untrained", unet=None)


if __name__ == "__main__":
    unittest.main()
