"""Weights in and out: our own folders, and those in diffusers' layout (SD 1.5, 2.1, Turbo, ControlNet, AnimateDiff).

Our own: config.json, manifest.json (files, their SHA-256, what was saved) and weights-NN.safetensors, each under a
limit that repositories take. Only safetensors are read: a pickle runs code of whoever made it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, MotionAdapter, UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from common.models.diffusion.config import DiffusionConfig
from common.models.diffusion.model import DiffusionModel, build
from common.models.diffusion.restoration import RestorationAdapter
from common.models.diffusion.temporal import TemporalAdapter

FORMAT = 1
START = 0.5  # strength where no Restoration Adapter carries the texture: as image-to-image does by custom
FILE_LIMIT = 16_000_000  # bytes of a file of weights
COMPUTED = ".pos_embed.pe"  # sinusoids, made by the constructor; not saved
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")


class LoadingError(ValueError):
    """Weights that cannot be used; the message names the file and the fix."""


def save(
    model: DiffusionModel, folder: Path, dtype: torch.dtype = torch.float16, limit: int = FILE_LIMIT
) -> None:
    """Write the decoder's folder; its old weights are replaced. Raises ValueError if a tensor is over the limit."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("weights-*.safetensors"):
        old.unlink()
    state = {
        name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in model.state_dict().items()
        if not name.endswith(COMPUTED)
    }
    files: dict[str, dict[str, object]] = {}
    for index, group in enumerate(_groups(state, limit)):
        path = folder / f"weights-{index:02d}.safetensors"
        save_file({name: state[name] for name in group}, path)
        files[path.name] = {"sha256": _digest(path), "bytes": path.stat().st_size}
    parameters = sum(tensor.numel() for tensor in state.values())
    manifest = {
        "format": FORMAT,
        "files": files,
        "parameters": parameters,
        "dtype": str(dtype).split(".")[-1],
    }
    (folder / "config.json").write_text(model.config.to_json())
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _groups(state: Mapping[str, Tensor], limit: int) -> list[list[str]]:
    """Names of tensors by file, in order; a file holds a header of about 150 bytes a tensor besides."""
    groups: list[list[str]] = [[]]
    room = limit
    for name, tensor in state.items():
        size = tensor.nbytes + len(name) + 150
        if size > limit:
            raise ValueError(f"{name} alone has {size} bytes; raise the limit of {limit}")
        if size > room:
            groups.append([])
            room = limit
        groups[-1].append(name)
        room -= size
    return groups


def load(
    folder: Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> DiffusionModel:
    """Read a folder written by `save`, ready for inference. Raises LoadingError or ConfigError."""
    manifest = _json(folder / "manifest.json")
    files = manifest.get("files")
    if manifest.get("format") != FORMAT or not isinstance(files, dict) or not files:
        raise LoadingError(
            f"{folder / 'manifest.json'}: not of format {FORMAT}; take the folder whole from one version"
        )
    state: dict[str, Tensor] = {}
    for name, about in files.items():
        path = folder / Path(name).name
        if not path.is_file():
            raise LoadingError(
                f"{path} is missing; the manifest names it. Copy the folder whole (git lfs pull?)"
            )
        if not isinstance(about, dict) or _digest(path) != about.get("sha256"):
            raise LoadingError(
                f"{path} is not what the manifest describes (damaged or half copied); fetch it again"
            )
        state.update(_tensors(path))
    config = DiffusionConfig.from_json(_text(folder / "config.json"))
    model = build(config)
    _fill(model, state, folder)
    return model.to(device, dtype).eval().requires_grad_(False)


def load_folders(
    base: Path,
    *,
    context: Path,
    vae: Path | None = None,
    control: Path | None = None,
    motion: Path | None = None,
    restoration: Path | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    **settings: Any,
) -> DiffusionModel:
    """A decoder from folders in diffusers' layout, ready for inference. Raises LoadingError or ConfigError.

    base: a Stable Diffusion folder (unet/, vae/, scheduler/); context: safetensors with `context` (1, tokens, D), the
    text encoder's output for the empty prompt; vae: an AutoencoderTiny (TAESD) or AutoencoderKL folder instead of
    base/vae; control: a ControlNet folder; motion: an AnimateDiff motion adapter's; restoration: safetensors of our
    RestorationAdapter. An adapter without a folder is neutral, its weight 0; without `restoration` frames start halfway
    from the texture (START). settings: other values of DiffusionConfig.
    """
    unet = _component(base / "unet", UNet2DConditionModel)
    coder = _component(vae or base / "vae", AutoencoderTiny, AutoencoderKL)
    if control is not None:
        controller = _component(control, ControlNetModel)
    else:
        channels = int(settings.get("control_channels", 3))
        controller = ControlNetModel.from_unet(unet, conditioning_channels=channels)
    adapter = TemporalAdapter(_component(motion, MotionAdapter) if motion else _motion_for(unet))
    restorer = RestorationAdapter(unet)
    restorer.init_from(unet)
    if restoration is not None:
        _fill(restorer, _tensors(restoration), restoration)
    tensors = _tensors(context)
    if "context" not in tensors:
        raise LoadingError(
            f"{context}: no tensor `context`; save the text encoder's output for the prompt '' under it"
        )
    neutral: dict[str, Any] = {}
    if control is None:
        neutral["lambda_control"] = 0.0
    if motion is None:
        neutral["lambda_temporal"] = 0.0
    if restoration is None:
        neutral |= {"lambda_restoration": 0.0, "strength": START}
    values: dict[str, Any] = {
        "name": base.name,
        "unet": _keywords(unet),
        "vae": _keywords(coder),
        "motion": _keywords(adapter.motion),
        "vae_kind": "tiny" if isinstance(coder, AutoencoderTiny) else "kl",
        "control_channels": controller.config.conditioning_channels,
        "control_widths": tuple(controller.config.conditioning_embedding_out_channels),
        "context_tokens": tensors["context"].shape[1] if tensors["context"].ndim == 3 else 0,
        "sizes": (512,),
        **_schedule(base / "scheduler" / "scheduler_config.json"),
        **neutral,
    }
    config = DiffusionConfig(**{**values, **settings})
    model = DiffusionModel(config, coder, unet, controller, restorer, adapter, tensors["context"].float())
    return model.to(device, dtype).eval().requires_grad_(False)


def _motion_for(unet: UNet2DConditionModel) -> dict[str, Any]:
    """Keywords of motion modules that fit a backbone."""
    layers = unet.config.layers_per_block
    return {
        "block_out_channels": tuple(unet.config.block_out_channels),
        "motion_layers_per_block": layers if isinstance(layers, int) else tuple(layers),
        "motion_norm_num_groups": unet.config.norm_num_groups,
        "use_motion_mid_block": False,
    }


def _keywords(module: Any) -> dict[str, Any]:
    """Keywords with which diffusers makes this module again."""
    known = inspect.signature(type(module).__init__).parameters
    return {key: value for key, value in module.config.items() if key in known}


def _schedule(path: Path) -> dict[str, Any]:
    """What the folder's scheduler says about training."""
    if not path.is_file():
        return {}
    given = _json(path)
    names = {"prediction_type": "prediction", "num_train_timesteps": "timesteps"}
    keys = ("prediction_type", "num_train_timesteps", "beta_start", "beta_end", "beta_schedule")
    return {names.get(key, key): given[key] for key in keys if key in given}


def _component(folder: Path, *kinds: Any) -> Any:
    """A module from a folder with config.json and safetensors, of one of the classes."""
    config = _json(folder / "config.json")
    by_name = {kind.__name__: kind for kind in kinds}
    kind = by_name.get(str(config.get("_class_name")))
    if kind is None:
        raise LoadingError(f"{folder} holds a {config.get('_class_name')}; wanted {' or '.join(by_name)}")
    names = [name for name in WEIGHTS if (folder / name).is_file()]
    if not names and not (folder / f"{WEIGHTS[0]}.index.json").is_file():
        raise LoadingError(_no_weights(folder, kind.__name__))
    variant = "fp16" if names and "fp16" in names[0] else None
    try:
        module, info = kind.from_pretrained(
            folder, variant=variant, local_files_only=True, use_safetensors=True,
            low_cpu_mem_usage=False, output_loading_info=True, torch_dtype=torch.float32,
        )  # fmt: skip
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise LoadingError(f"{folder}: weights and config.json do not belong together: {reason}") from None
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        names = sorted(str(n) for n in info.get(key, ()) if not str(n).endswith(COMPUTED))
        if names:
            raise LoadingError(
                f"{folder}: {len(names)} {key.replace('_', ' ')}, first {names[0]}; a file of another model?"
            )
    return module


def _no_weights(folder: Path, kind: str) -> str:
    """Say what to do about a folder without safetensors."""
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if not pickles:
        return f"{folder} holds no {WEIGHTS[0]}; fetch it into the folder"
    return (
        f"{folder} holds {pickles[0]}, a pickle: it can run any code and is not read. Take the .safetensors "
        f'of the same model, or convert it where you trust it: python -c "from diffusers import {kind} as K; '
        f"K.from_pretrained('{folder}', use_safetensors=False).save_pretrained('{folder}')\""
    )


def _tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of one file; refuses pickles by name and by content."""
    if path.suffix in PICKLES:
        raise LoadingError(
            f"{path} is a pickle: it can run any code and is not read; convert it to safetensors"
        )
    if not path.is_file():
        raise LoadingError(f"{path} is missing")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise LoadingError(f"{path} is no safetensors file ({error}); fetch it again") from None


def _fill(module: nn.Module, state: Mapping[str, Tensor], where: Path) -> None:
    """Load tensors by name; raise LoadingError unless names and shapes fit exactly."""
    want = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith(COMPUTED)}
    missing, strange = sorted(want.keys() - state.keys()), sorted(state.keys() - want.keys())
    if missing or strange:
        first = f"lacks {missing[0]}" if missing else f"has {strange[0]} too many"
        raise LoadingError(
            f"{where}: weights are of another configuration: {len(missing) + len(strange)} names, {first}"
        )
    for name, tensor in want.items():
        if state[name].shape != tensor.shape:
            raise LoadingError(
                f"{where}: {name} is {tuple(state[name].shape)}, config.json makes it {tuple(tensor.shape)}"
            )
    module.load_state_dict(dict(state), strict=False)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise LoadingError(f"{path}: {error}; is this the folder of a decoder?") from None


def _json(path: Path) -> dict[str, Any]:
    text = _text(path)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LoadingError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise LoadingError(f"{path} must hold one object")
    return value
