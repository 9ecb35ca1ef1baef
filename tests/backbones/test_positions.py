"""Position embeddings when clips are longer or shorter than those of the pre-training."""

from __future__ import annotations

import pytest
import torch
from small_models import AST, VIT, ast, deviation, noise, vit
from torch.nn import functional as F

from petl.backbones.families import build_encoder
from petl.backbones.patches import fit_positions
from petl.config import Image
from petl.config.backbone import Stride
from petl.errors import UserError

# 128 frames with strides (10, 12): a grid of 12 x 10
OLD = (12, 10)
MEL = {"rate": 16_000, "n_fft": 1024, "hop": 320, "bins": 128, "fmin": 50.0, "fmax": 8000.0}
IMAGE = Image(kind="image", seconds=1.0, **MEL)


def expected(position: torch.Tensor, how: str, columns: int) -> torch.Tensor:
    """What each way makes of (1, 2 + 12 * 10, hidden), said independently of the package."""
    if how == "zeros":
        return torch.zeros(1, 2 + 12 * columns, position.shape[2])
    rows = position[0, 2:].reshape(12, 10, -1)
    if how == "crop" and columns <= 10:
        start = 5 - columns // 2
        rows = rows[:, start : start + columns]
    else:
        channels = rows.permute(2, 0, 1)[None]
        stretched = F.interpolate(channels, (12, columns), mode="bilinear", align_corners=False)
        rows = stretched[0].permute(1, 2, 0)
    return torch.cat([position[0, :2], rows.reshape(12 * columns, -1)])[None]


@pytest.mark.parametrize("how", ["zeros", "interpolate", "crop"])
@pytest.mark.parametrize("frames, columns", [(76, 6), (90, 7), (200, 16)])
def test_an_ast_of_another_length_equals_the_librarys_with_those_positions(
    how: str, frames: int, columns: int, library, tmp_path
) -> None:
    model, folder = library("ASTModel", AST)
    encoder = build_encoder(ast(folder, how), frames).eval()
    other = type(model)(type(model.config)(**AST | {"max_length": frames})).eval()
    tensors = dict(model.state_dict())
    name = "embeddings.position_embeddings"
    tensors[name] = expected(tensors[name], how, columns)
    other.load_state_dict(tensors)
    x = noise(2, frames, 128)
    with torch.no_grad():
        assert deviation(encoder(x), other(x).last_hidden_state) < 1e-5


@pytest.mark.parametrize("how", ["zeros", "interpolate", "crop"])
def test_the_same_length_changes_nothing(how: str, library) -> None:
    model, folder = library("ASTModel", AST)
    encoder = build_encoder(ast(folder, how), 128)
    assert torch.equal(encoder.tokens.position, model.embeddings.position_embeddings)


def test_a_crop_keeps_the_middle_of_one_axis_and_stretches_the_other() -> None:
    """As a ViT needs it: a square of photographs becomes a wide and low spectrogram."""
    plane = torch.arange(14.0)[:, None].expand(14, 14)  # each row says its number
    position = torch.cat([torch.full((1, 1), -1.0), plane.reshape(-1, 1)])[None]
    fitted = fit_positions(position, (14, 14), (8, 31), "crop")
    assert fitted[0, 0] == -1.0
    rows = fitted[0, 1:].reshape(8, 31)
    assert torch.equal(rows, torch.arange(3.0, 11.0)[:, None].expand(8, 31))


def test_interpolation_keeps_what_is_even_and_the_special_tokens() -> None:
    position = torch.full((1, 2 + 120, 4), 0.5)
    position[:, :2] = 7.0
    fitted = fit_positions(position, OLD, (12, 48), "interpolate")
    assert torch.equal(fitted[:, :2], position[:, :2])
    assert torch.allclose(fitted[:, 2:], torch.tensor(0.5))


@pytest.mark.parametrize("how", ["zeros", "interpolate", "crop"])
def test_a_vit_reads_spectrograms_of_any_length(how: str, library) -> None:
    _, folder = library("ViTModel", VIT | {"image_size": 64})
    encoder = build_encoder(vit(folder, how), 100).eval()
    assert encoder.tokens.grid == (8, 6)
    assert encoder(noise(2, 100, 128)).shape == (2, 1 + 8 * 6, 32)


def test_a_picture_gets_three_channels_normalised_as_imagenets(library) -> None:
    """The library's image processor: height first, then (x - mean) / std for each channel."""
    model, folder = library("ViTModel", VIT | {"image_size": 64})
    encoder = build_encoder(vit(folder), 64, front_end=IMAGE).eval()
    picture = torch.rand(2, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = picture.transpose(1, 2)[:, None].repeat(1, 3, 1, 1)
    pixels = (pixels - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        assert deviation(encoder(picture), model(pixels).last_hidden_state) < 1e-5


def test_a_picture_is_refused_by_a_vit_of_one_channel(library) -> None:
    _, folder = library("ViTModel", VIT | {"num_channels": 1})
    with pytest.raises(UserError, match=r"reads 1 channel and dataset\.front_end 'image' is for 3"):
        build_encoder(vit(folder), 64, front_end=IMAGE)


def test_a_clip_too_short_for_one_patch_is_refused(library) -> None:
    _, folder = library("ASTModel", AST)
    with pytest.raises(UserError, match="128 bins x 10 frames is smaller than a patch of 16 x 16"):
        build_encoder(ast(folder), 10)


def as_published(position: torch.Tensor, old: tuple[int, int], new: tuple[int, int]):
    """SSAST's fine-tuning: cut the middle of a longer time axis, else stretch; then frequency."""
    plane = position[:, 2:].transpose(1, 2).reshape(1, -1, *old)
    (rows, columns), (f, t) = old, new
    if t < columns:
        start = int(columns / 2) - int(t / 2)
        plane = plane[:, :, :, start : start + t]
    else:
        plane = F.interpolate(plane, size=(rows, t), mode="bilinear")
    plane = F.interpolate(plane, size=(f, t), mode="bilinear")
    return torch.cat([position[:, :2], plane.reshape(1, -1, f * t).transpose(1, 2)], dim=1)


@pytest.mark.parametrize("frames", [64, 128, 300])
def test_fine_tuning_at_stride_10_a_checkpoint_of_stride_16_is_as_published(
    frames: int, library
) -> None:
    """`crop` is SSAST's rule; for clips that are not shorter `interpolate` is the same."""
    model, folder = library("ASTModel", AST | {"frequency_stride": 16, "time_stride": 16})
    kept, columns = model.embeddings.position_embeddings.detach(), (frames - 16) // 10 + 1
    stride = Stride(frequency=10, time=10)
    for how in ("crop", "interpolate"):
        settings = ast(folder, how).model_copy(update={"stride": stride})
        encoder = build_encoder(settings, frames)
        assert encoder.tokens.grid == (12, columns)
        if how == "crop" or columns >= 8:
            published = as_published(kept, (8, 8), (12, columns))
            assert torch.allclose(encoder.tokens.position, published, atol=1e-6)
    other = type(model)(type(model.config)(**AST | {"time_stride": 10, "max_length": frames}))
    tensors = model.state_dict() | {"embeddings.position_embeddings": encoder.tokens.position}
    other.load_state_dict(tensors)
    x = noise(2, frames, 128)
    with torch.no_grad():
        assert deviation(encoder.eval()(x), other.eval()(x).last_hidden_state) < 1e-5
