"""Loading: our own folders and diffusers' layouts, on small random files; every way they can be wrong."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, DDPMScheduler, UNet2DConditionModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from common.models.diffusion.config import LAMBDA_RESTORATION, PRESETS, ConfigError
from common.models.diffusion.loading import LoadingError, load, load_folders, save
from common.models.diffusion.model import DiffusionModel
from common.models.diffusion.stream import Streamer, StreamInputs
from tests.common.models.diffusion.toy import SIZE, toy_model

FILE = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("weights") / "toy"
    save(toy_model(), folder, limit=100_000)
    return folder


@pytest.fixture
def own(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "own"))


def test_own_weights_come_back(own: Path) -> None:
    model, again = toy_model(), load(own)
    files = sorted(path.name for path in own.glob("*.safetensors"))
    assert len(files) > 1
    assert all((own / name).stat().st_size <= 100_000 for name in files)
    for (name, a), b in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        want = a if name.endswith("pe") else a.half().float()
        assert torch.equal(want, b), name
    assert again.config.to_json() == model.config.to_json()
    assert not any(p.requires_grad for p in again.parameters())
    save(model, own)  # larger files: those of before are gone
    assert len(list(own.glob("*.safetensors"))) == 1
    with pytest.raises(ValueError, match="raise the limit"):
        save(model, own, limit=500)


def test_damaged_own_weights_are_refused(own: Path) -> None:
    first = min(own.glob("*.safetensors"))
    good = first.read_bytes()
    first.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(LoadingError, match="fetch it again"):
        load(own)
    first.unlink()
    with pytest.raises(LoadingError, match="missing"):
        load(own)
    first.write_bytes(good)
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps({**config, "control_channels": 6}))
    with pytest.raises(LoadingError, match=r"controlnet_cond_embedding.conv_in.weight is \(4, 5"):
        load(own)
    config["motion"]["use_motion_mid_block"] = True
    (own / "config.json").write_text(json.dumps(config))
    with pytest.raises(LoadingError, match=r"lacks temporal\.motion\.mid_block"):
        load(own)
    with pytest.raises(LoadingError, match="folder of a decoder"):
        load(own / "nowhere")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | st.just(b'{"format": 1, "files": {"x": 3}}')
)
def test_any_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(LoadingError):
        load(tmp_path)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders as their authors publish them, of tiny networks: an SD family with 2 layers a block, KL autoencoder."""
    root: Path = tmp_path_factory.mktemp("zoo")
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=2, norm_num_groups=4, cross_attention_dim=12,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
    )  # fmt: skip
    unet.save_pretrained(root / "sd" / "unet")
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    AutoencoderKL(
        block_out_channels=(4,) * 4, norm_num_groups=4, layers_per_block=1, **blocks
    ).save_pretrained(root / "sd" / "vae")
    DDPMScheduler(
        prediction_type="v_prediction", beta_schedule="scaled_linear", beta_start=0.001, beta_end=0.02
    ).save_pretrained(root / "sd" / "scheduler")
    ControlNetModel.from_unet(unet).save_pretrained(root / "control")
    adapter = toy_model(motion=MOTION, unet={**PRESETS["toy"].unet, "layers_per_block": 2}).temporal.motion
    adapter.save_pretrained(root / "motion")
    AutoencoderTiny(encoder_block_out_channels=(4,) * 4, decoder_block_out_channels=(4,) * 4).save_pretrained(
        root / "taesd"
    )
    save_file({"context": torch.randn(1, 7, 12)}, root / "context.safetensors")
    return root


MOTION = {
    "block_out_channels": (8, 16), "motion_layers_per_block": 2, "motion_norm_num_groups": 4,
    "motion_num_attention_heads": 2, "use_motion_mid_block": True, "motion_max_seq_length": 24,
}  # fmt: skip


@pytest.fixture
def root(zoo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(zoo, tmp_path / "zoo"))


def whole(root: Path, **settings: object) -> DiffusionModel:
    folders = {"control": root / "control", "motion": root / "motion", **settings}
    return load_folders(root / "sd", context=root / "context.safetensors", **folders)  # type: ignore[arg-type]


@pytest.mark.parametrize("taesd", [False, True])
def test_diffusers_folders_stream(root: Path, tmp_path: Path, taesd: bool) -> None:
    model = whole(root, vae=root / "taesd" if taesd else None, steps=2)
    assert (model.config.prediction, model.config.positions) == ("v_prediction", 24)
    assert (model.config.beta_start, model.config.context_tokens) == (0.001, 7)
    assert model.config.vae_kind == ("tiny" if taesd else "kl")
    wanted = load_file(root / "sd" / "unet" / FILE)
    for name, tensor in model.unet.state_dict().items():
        assert torch.equal(tensor, wanted[name])
    stream = Streamer(model, SIZE, SIZE)
    state = stream.init_state(1)
    texture, control = torch.zeros(1, 3, SIZE, SIZE), torch.ones(1, 3, SIZE, SIZE)
    for _ in range(4):
        picture, _ = stream.step(StreamInputs(texture, control), state)
    assert picture.shape == (1, 3, SIZE, SIZE)
    assert torch.isfinite(picture).all()
    save(model, tmp_path / "own", dtype=torch.float32)  # and as our own
    again = load(tmp_path / "own")
    same = Streamer(again, SIZE, SIZE)
    state = same.init_state(1)
    for _ in range(4):
        second, _ = same.step(StreamInputs(texture, control), state)
    torch.testing.assert_close(second, picture)


def test_half_precision_and_missing_adapters(root: Path) -> None:
    unet = UNet2DConditionModel.from_pretrained(root / "sd" / "unet")
    (root / "sd" / "unet" / FILE).unlink()
    unet.half().save_pretrained(root / "sd" / "unet", variant="fp16")
    model = whole(root, control=None, motion=None)
    x, t = torch.randn(1, 3, 4, 4, 4), torch.tensor([5])
    with torch.no_grad():
        control = torch.ones(1, 3, 3, SIZE, SIZE)
        weighed = model(x, t, control=control, temporal="window", lambda_c=1.0, lambda_t=1.0)
        torch.testing.assert_close(weighed, model(x, t))
    assert model.config.lambda_control == model.config.lambda_temporal == 0


def test_trained_restoration_is_read(root: Path) -> None:
    model = whole(root)
    with torch.no_grad():
        for parameter in model.restoration.parameters():
            parameter.add_(1)
    save_file(model.restoration.state_dict(), root / "restoration.safetensors")
    again = whole(root, restoration=root / "restoration.safetensors")
    assert torch.equal(again.restoration.typed[0].to_k.weight, model.restoration.typed[0].to_k.weight)
    assert (again.config.strength, again.config.lambda_restoration) == (1.0, LAMBDA_RESTORATION)
    # Without it the texture is where frames start; what is neutral costs nothing.
    assert (model.config.strength, model.config.lambda_restoration) == (0.5, 0.0)
    assert whole(root, strength=0.7).config.strength == 0.7
    with pytest.raises(LoadingError, match="another configuration"):
        whole(root, restoration=root / "context.safetensors")


@pytest.mark.parametrize("part", ["sd/unet", "sd/vae", "control", "motion"])
def test_wrong_folders_are_named(root: Path, part: str) -> None:
    folder = root / part
    weights = load_file(folder / FILE)
    config = json.loads((folder / "config.json").read_text())

    missing = dict(list(weights.items())[1:])
    save_file(missing, folder / FILE)
    with pytest.raises(LoadingError, match=f"(?s){folder}.*missing"):
        whole(root)

    name = next(iter(weights))
    save_file({**weights, name: torch.zeros(3, 3)}, folder / FILE)
    with pytest.raises(LoadingError, match=f"{folder}.*do not belong together"):
        whole(root)

    (folder / FILE).write_bytes(b"no weights at all")
    with pytest.raises(LoadingError, match=f"{folder}"):
        whole(root)

    (folder / FILE).unlink()
    with pytest.raises(LoadingError, match=f"holds no {FILE}"):
        whole(root)

    (folder / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Trap(root / "sprung")))
    with pytest.raises(LoadingError, match=r"pickle.*save_pretrained"):
        whole(root)
    assert not (root / "sprung").exists()

    (folder / "config.json").write_text(json.dumps({**config, "_class_name": "StableCascadeUNet"}))
    with pytest.raises(LoadingError, match="holds a StableCascadeUNet; wanted"):
        whole(root)
    (folder / "config.json").unlink()
    with pytest.raises(LoadingError, match=r"config\.json"):
        whole(root)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_contexts_are_checked(root: Path) -> None:
    with pytest.raises(LoadingError, match="missing"):
        load_folders(root / "sd", context=root / "none.safetensors")
    (root / "context.pt").write_bytes(pickle.dumps(Trap(root / "sprung")))
    with pytest.raises(LoadingError, match="pickle"):
        load_folders(root / "sd", context=root / "context.pt")
    save_file({"other": torch.zeros(1)}, root / "context.safetensors")
    with pytest.raises(LoadingError, match="`context`"):
        whole(root)
    save_file({"context": torch.zeros(1, 7, 16)}, root / "context.safetensors")
    with pytest.raises(ConfigError, match=r"\(1, tokens, 12\)"):
        whole(root)


def test_parts_of_other_families_are_refused(root: Path) -> None:
    unet = UNet2DConditionModel.from_pretrained(root / "sd" / "unet")
    other = UNet2DConditionModel.from_config({**unet.config, "cross_attention_dim": 20})
    ControlNetModel.from_unet(other).save_pretrained(root / "control")
    with pytest.raises(ConfigError, match="contexts of 20, the UNet for 12"):
        whole(root)
    with pytest.raises(ConfigError, match="another family"):
        other = UNet2DConditionModel.from_config({**unet.config, "layers_per_block": 1})
        other.save_pretrained(root / "sd" / "unet")
        whole(root, control=None)
