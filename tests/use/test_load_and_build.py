"""petl.load and petl.build: models that take sounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import petl
from petl.data.features import Recipe

GOLDEN = Path(__file__).parent.parent / "golden"
TINY = str(GOLDEN / "ast_tiny")
RATE = 22_050


@pytest.fixture
def waveform() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32)


@pytest.fixture
def file(waveform, tmp_path) -> Path:
    soundfile.write(tmp_path / "noise.wav", waveform, RATE, subtype="FLOAT")
    return tmp_path / "noise.wav"


def test_a_loaded_run_gives_logits_of_files_and_of_waveforms(written, waveform, file) -> None:
    run = written()
    model = petl.load(run.path)
    assert model.classes == tuple(run.result()["classes"])
    logits = model(file)
    assert logits.shape == (10,)
    recipe = Recipe.of(model.run.task.dataset, "spectrogram")
    assert torch.equal(logits, model.run.outputs(recipe(file)[None])[0])
    for same in (str(file), [file]):
        assert torch.equal(model(same).flatten(), logits)
    for same in (waveform, torch.from_numpy(waveform), waveform.astype(np.float64)[None]):
        assert torch.equal(model(same, RATE), logits)
    both = model([waveform, waveform[: RATE // 2]], RATE)
    assert both.shape == (2, 10)
    assert (both[0] - logits).abs().max() < 1e-5 and not torch.equal(both[1], logits)


def test_a_run_is_found_by_the_beginning_of_its_id(written) -> None:
    run = written()
    by_id = petl.load(run.path.name[:6], runs=str(run.path.parents[1]))
    assert by_id.run.path == run.path


def test_a_prediction_names_classes_and_hears_all_of_a_file(written, file, tmp_path) -> None:
    model = petl.load(written().path)
    of_logits = model(file).softmax(dim=0)
    answer = model.predict(str(file))
    assert list(answer.values()) == sorted(answer.values(), reverse=True)
    assert [answer[name] for name in model.classes] == pytest.approx(of_logits.tolist(), abs=1e-6)
    long = tmp_path / "long.wav"
    loud = soundfile.read(file)[0]
    soundfile.write(long, np.concatenate([loud, loud / 50]), RATE, subtype="FLOAT")
    of_all, of_one = model.predict([long, file])
    assert of_one == pytest.approx(answer, abs=1e-6)
    assert of_all != pytest.approx(answer, abs=1e-4)
    assert torch.equal(model(long), model(file))
    with pytest.raises(petl.UserError, match=r"nowhere\.wav: no such file"):
        model.predict("nowhere.wav")


WRONG = {
    "one dimension": (np.zeros((2, 16_000)), 16_000),
    "divide 16-bit samples by 32768": (np.zeros(16_000, dtype=np.int16), 16_000),
    "needs its sampling rate": (np.zeros(16_000), None),
    "the sampling rate is 44.1": (np.zeros(16_000), 44.1),
    "not a finite number": (np.full(16_000, np.nan), 16_000),
    "list of sounds is empty": ([], 16_000),
    "no such file": ("nowhere.wav", None),
}


@pytest.mark.parametrize("told", WRONG)
def test_a_sound_that_cannot_be_heard_is_one_line(told: str) -> None:
    sound, rate = WRONG[told]
    with pytest.raises(petl.UserError, match=told) as error:
        petl.build("linear", TINY, 3, frames=100).extractor(sound, rate)
    assert "\n" not in str(error.value)


def test_a_built_model_learns_in_a_loop_of_ones_own(waveform, file) -> None:
    torch.manual_seed(0)
    block = {"kind": "conformer", "reduction": 8, "kernel": 9}
    names = ["bird", "rain", "wind"]
    model = petl.build("conformer-pfeiffer", TINY, names, frames=100, block=block)
    assert model.classes == tuple(names)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert 0 < sum(p.numel() for p in trained) < sum(p.numel() for p in model.parameters()) / 2
    sounds = [waveform * loud for loud in (1, 0.1, 0.01)]
    x, labels, losses = model.extractor(sounds, RATE), torch.arange(3), []
    assert x.shape == (3, 100, 128)
    optimiser = torch.optim.AdamW(trained, lr=5e-3)
    for _ in range(10):
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("backbone", "shape"), [("ast-small", (100, 128)), (str(GOLDEN / "wav2vec2_tiny"), (16_000,))]
)
def test_a_backbone_is_a_preset_or_a_folder(backbone, shape, file) -> None:
    model = petl.build({"family": "bitfit"}, backbone, 4, frames=100)
    x = model.extractor(file)
    assert x.shape == shape
    assert model(x[None]).shape == (1, 4)


def test_an_extractor_normalises_by_audioset_until_it_has_measured(waveform) -> None:
    extractor = petl.build("linear", TINY, 2, frames=90).extractor
    assert (extractor.statistics.mean, extractor.statistics.std) == (-4.268, 4.569)
    x = extractor.fit([waveform, waveform / 9], RATE)([waveform, waveform / 9], RATE)
    assert abs(float(x.mean())) < 1e-3
    assert float(x.std()) == pytest.approx(0.5, abs=1e-3)
    given = petl.build("linear", TINY, 2, frames=90, statistics=(-3, 2.5)).extractor
    assert (given.statistics.mean, given.statistics.std) == (-3, 2.5)


def test_wrong_settings_are_named() -> None:
    for told, wrong in {
        "did you mean 'lora'": lambda: petl.build("lroa", TINY),
        "did you mean 'reduction'": lambda: petl.build("lora", TINY, reducton=2),
        "nor a Hugging Face name": lambda: petl.build("lora", "asst"),
        "needs a prompt method": lambda: petl.build("lora", TINY, pooling="prompts"),
    }.items():
        with pytest.raises(petl.UserError, match=told):
            wrong()
