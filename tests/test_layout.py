"""The layout and dependency rules of README.md, held by reading the import statements."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("proto", "common", "sender", "receiver")
MAX_LINES = 400

# Module names of Google's proto-plus: with both installed in one environment, ours would take their place.
FORBIDDEN_IN_PROTO = {
    *("datetime_helpers", "enums", "fields", "marshal", "message"),
    *("modules", "primitives", "utils", "version"),
}

# What each package may import of ours.
ALLOWED = {
    "proto": {"proto"},
    "common": {"common", "proto"},
    "sender": {"sender", "common", "proto"},
    "receiver": {"receiver", "common", "proto"},
}

# Third-party modules at the top of a file, loaded with it. What an extra brings is imported where it is used:
# in the modules named here, which the daemons load only when asked to.
CORE = {
    *("numpy", "av", "uvloop", "pydantic", "pydantic_core", "yaml", "prometheus_client"),
    *("cryptography", "onnxruntime", "zfec", "rich", "cv2"),
}
PURE = {"proto": {"numpy", "cryptography", "zfec"}}
EXTRAS = {
    "common/training/": {"torch", "onnx", "onnxscript", "safetensors"},
    "common/training/tabletop/": {"pybullet", "embreex"},
    "common/training/diffusion/": {"diffusers"},
    "common/models/": {"torch"},
    "common/models/diffusion/": {"diffusers", "safetensors"},
    "common/runtime/": {"torch", "safetensors", "openvino", "tensorrt", "tensorrt_rtx"},
    "common/web": {"aioice", "aiohttp"},
    "sender/capture/whip/": {"aiortc", "aioice", "aiohttp"},
    "receiver/generative/": {"torch"},
    "receiver/play/": {"aiortc", "aioice", "aiohttp", "sdl2"},
}
DISTRIBUTIONS = {
    "yaml": "pyyaml",
    "prometheus_client": "prometheus-client",
    "pydantic_core": "pydantic",
    "cv2": "opencv-python-headless",
}


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path, top_only: bool = False) -> frozenset[str]:
    """Modules that a file imports; `top_only`: those loaded with it, not by a function or for types alone."""
    return frozenset(_imports(ast.parse(path.read_text()), path, top_only))


def _imports(node: ast.AST, path: Path, top_only: bool) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{path}: relative import in line {child.lineno}"
            yield child.module or ""
            yield from (f"{child.module}.{alias.name}" for alias in child.names if (child.module or "") != "")
        elif top_only and _is_loaded_later(child):
            continue
        else:
            yield from _imports(child, path, top_only)


def _is_loaded_later(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def roots(path: Path, top_only: bool = False) -> set[str]:
    return {name.partition(".")[0] for name in imports(path, top_only)}


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_may(package: str) -> None:
    ours = {*PACKAGES, "tests"}
    for path in sources(package):
        wrong = (roots(path) & ours) - ALLOWED[package]
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_daemons_never_import_training() -> None:
    for path in sources("proto", "common", "sender", "receiver"):
        if "common/training" in path.as_posix():
            continue
        wrong = [name for name in imports(path) if name.startswith("common.training")]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_third_party_imports_are_declared_and_in_their_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[><=~ ]", text)[0].lower() for text in project["dependencies"]}
    assert {DISTRIBUTIONS.get(name, name) for name in CORE} == declared
    for path in sources(*PACKAGES):
        where = path.relative_to(ROOT).as_posix()
        third = roots(path) - set(sys.stdlib_module_names) - {*PACKAGES, ""}
        allowed = PURE.get(where.partition("/")[0], CORE)
        for folder, extra in EXTRAS.items():
            allowed = allowed | extra if where.startswith(folder) else allowed
        assert third <= allowed, f"{where} imports {sorted(third - allowed)}"


@pytest.mark.parametrize(
    "extra", ["torch", "openvino", "sdl2", "safetensors", "onnx", "scipy", "cv2", "rich"]
)
def test_daemons_load_without(extra: str) -> None:
    """Nothing that a daemon loads at its start needs an extra (web excepted, it is loaded with its sink)."""
    by_name = {name_of(path): path for path in sources(*PACKAGES)}
    pending = ["sender.__main__", "receiver.__main__", "common.codec.registry"]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen or name not in by_name:
            continue
        seen.add(name)
        found = imports(by_name[name], True)
        assert extra not in {text.partition(".")[0] for text in found}, f"{name} loads {extra}"
        pending += [*found, *(text.rpartition(".")[0] for text in found), name.rpartition(".")[0]]
    assert {"sender.app", "receiver.app"} <= seen


@pytest.mark.parametrize("daemon", ["sender", "receiver"])
def test_help_needs_no_torch(daemon: str) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['{daemon}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('{daemon}', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert "--config" in result.stdout


def test_proto_is_sans_io() -> None:
    forbidden = {"asyncio", "socket", "time", "threading", "logging", "selectors", "uvloop", "random"}
    for path in sources("proto"):
        assert not roots(path) & forbidden, f"{path.name} imports {sorted(roots(path) & forbidden)}"


def test_proto_has_no_name_of_proto_plus() -> None:
    names = {path.stem for path in sources("proto")}
    assert not names & FORBIDDEN_IN_PROTO


@pytest.mark.parametrize("package", ["proto", "common"])
def test_init_is_a_docstring(package: str) -> None:
    body = ast.parse((ROOT / package / "__init__.py").read_text()).body
    assert len(body) == 1
    assert ast.get_docstring(ast.Module(body, []))


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_resolve_inside_the_repository(package: str) -> None:
    file = importlib.import_module(package).__file__
    assert file is not None
    assert Path(file).parent == ROOT / package


def test_every_folder_is_a_package() -> None:
    for path in sources(*PACKAGES, "tests"):
        assert (path.parent / "__init__.py").exists(), f"{path.parent.relative_to(ROOT)} lacks __init__.py"


def test_files_are_short() -> None:
    for path in sources(*PACKAGES, "tests"):
        lines = path.read_text().count("\n")
        assert lines <= MAX_LINES, f"{path.relative_to(ROOT)} has {lines} lines"


def test_nothing_is_left_for_later() -> None:
    mark = re.compile("TO" + "DO|FIX" + "ME|XX" + "X")
    for path in sources(*PACKAGES, "tests"):
        assert not mark.search(path.read_text()), f"{path.relative_to(ROOT)}"
