"""House rules that a look at the source can check: who imports whom, nothing left to chance, nothing left behind."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from importlib.util import resolve_name
from pathlib import Path

import pytest

from simlora.arena.template import scenarios
from simlora.latency import list_engines, list_profiles
from simlora.results.prices import list_prices
from simlora.study.providers import list_providers
from simlora.systems.config import list_bounds, list_systems

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "simlora").rglob("*.py"))
CALIBRATE = sorted((ROOT / "calibrate").rglob("*.py"))

PURE = ("entities", "actions", "views", "events", "policies")
BEHIND_THE_VIEWS = ("simlora.engine", "simlora.cluster", "simlora.backends")
DECIDING = ("engine", "cluster", "policies")
MAX_LINES = 300


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in the file, types-only imports included."""
    module = module_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def breaches(tree: ast.AST, path: Path) -> list[str]:
    """Imports that the file's place in the tree forbids."""
    module = module_of(path)
    forbidden: list[str] = []
    if within(module, *(f"simlora.{name}" for name in PURE)):
        forbidden.append("simpy")
    if within(module, "simlora.policies"):
        forbidden.extend(BEHIND_THE_VIEWS)
    if not within(module, "simlora.backends.torch_gpu", "calibrate"):
        forbidden.append("torch")
    return sorted({name for name in imports(tree, path) if within(name, *forbidden)})


def name_of(node: ast.expr) -> str:
    """A dotted name as written, ``np.random.seed``; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := name_of(node.value)):
        return f"{base}.{node.attr}"
    return ""


SEEDED = ("Random", "default_rng", "Generator", "SeedSequence", "PCG64", "Philox")


def global_randomness(tree: ast.AST) -> list[str]:
    """Uses of the streams that a process shares, as ``random.random()`` or ``np.random.seed(0)``."""
    used = [name_of(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used += [
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("random", "numpy.random")
        for alias in node.names
    ]
    shared = [name for name in used if name.rpartition(".")[0] in ("random", "np.random", "numpy.random")]
    unseeded = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and not (node.args or node.keywords)
        and name_of(node.func).endswith(("random.Random", "default_rng", "SeedSequence"))
    ]
    return [name for name in shared if name.rpartition(".")[2] not in SEEDED] + unseeded


def is_set(node: ast.expr) -> bool:
    called = isinstance(node, ast.Call) and name_of(node.func) in ("set", "frozenset")
    return called or isinstance(node, ast.Set | ast.SetComp)


def walked_sets(tree: ast.AST) -> list[str]:
    """Loops and comprehensions over a set, and sets made into a sequence without being sorted."""
    walked = [n.iter for n in ast.walk(tree) if isinstance(n, ast.For | ast.comprehension)]
    walked += [
        node.args[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node.func) in ("list", "tuple", "iter", "enumerate") and node.args
    ]
    return [ast.unparse(node) for node in walked if is_set(node)]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def test_each_layer_imports_only_what_it_may() -> None:
    found = {module_of(path): breaches(tree_of(path), path) for path in SOURCES + CALIBRATE}
    assert {module: names for module, names in found.items() if names} == {}


def test_no_file_grows_beyond_one_reason() -> None:
    lines = {module_of(path): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}
    assert {module: count for module, count in lines.items() if count > MAX_LINES} == {}


def test_nothing_draws_from_a_global_stream() -> None:
    found = {module_of(path): global_randomness(tree_of(path)) for path in SOURCES}
    assert {module: names for module, names in found.items() if names} == {}


def test_no_decision_walks_a_set() -> None:
    deciding = [path for path in SOURCES if within(module_of(path), *(f"simlora.{name}" for name in DECIDING))]
    found = {module_of(path): walked_sets(tree_of(path)) for path in deciding}
    assert {module: loops for module, loops in found.items() if loops} == {}


@pytest.mark.parametrize(
    ("place", "source", "bad"),
    [
        ("simlora/actions.py", "import simpy.rt", ["simpy.rt"]),
        ("simlora/views.py", "def f():\n    import torch", ["torch"]),
        ("simlora/policies/mine.py", "from simlora.cluster.memory import Memory", None),
        ("simlora/policies/mine.py", "from simlora import engine", ["simlora.engine"]),
        ("simlora/policies/batching/mine.py", "from ... import backends", ["simlora.backends"]),
        ("simlora/policies/mine.py", "import torchvision, simlora.engines", []),
        ("simlora/engine/mine.py", "import simpy, simlora.cluster", []),
        ("simlora/engine/mine.py", "from torch.nn import Linear", None),
        ("simlora/backends/torch_gpu.py", "import torch", []),
        ("calibrate/mine.py", "import torch", []),
    ],
)
def test_a_breach_of_the_import_rule_is_found(place: str, source: str, bad: list[str] | None) -> None:
    found = breaches(ast.parse(source), ROOT / place)
    assert found if bad is None else found == bad


@pytest.mark.parametrize(
    ("source", "clean"),
    [
        ("import numpy as np\nnp.random.seed(0)", False),
        ("import random\nx = random.random()", False),
        ("from random import choice", False),
        ("rng = np.random.default_rng()", False),
        ("rng = np.random.default_rng(np.random.SeedSequence([1, 2]))", True),
        ("rng = random.Random(3)\nrng.random()", True),
        ("def f(rng: np.random.Generator): rng.random()", True),
    ],
)
def test_a_global_stream_is_found(source: str, clean: bool) -> None:
    assert (not global_randomness(ast.parse(source))) == clean


@pytest.mark.parametrize(
    ("source", "clean"),
    [
        ("for x in {1, 2}: pass", False),
        ("y = [x for x in set(z)]", False),
        ("y = list({x for x in z})", False),
        ("for x in sorted(set(z)): pass", True),
        ("for x in dict.fromkeys(z): pass", True),
        ("y = x in {1, 2}", True),
    ],
)
def test_a_walked_set_is_found(source: str, clean: bool) -> None:
    assert (not walked_sets(ast.parse(source))) == clean


@pytest.mark.parametrize("module", ["simlora", "simlora.policies.registry", "simlora.systems.config"])
def test_importing_is_light(module: str) -> None:
    heavy = ("torch", "matplotlib", "ray")
    code = f"import sys, {module}; print(*[name for name in {heavy!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_every_shipped_table_is_reached_by_the_package() -> None:
    reached = {
        "systems": list(list_systems()),
        "bounds": list(list_bounds()),
        "profiles": list(list_profiles()),
        "engines": list(list_engines()),
        "prices": list(list_prices()),
        "providers": list(list_providers()),
        "latency": ["hardware", "loaders"],
        "arena": ["experiment", "roles"],
        "scenarios": list(scenarios()),
    }
    package = resources.files("simlora")
    for path in sorted((ROOT / "simlora").rglob("*.toml")):
        inside = path.relative_to(ROOT / "simlora")
        assert package.joinpath(*inside.parts).is_file(), f"{inside} is not installed"
        assert "templates" in inside.parts or path.stem in reached.get(path.parent.name, ()), f"nothing reads {inside}"
