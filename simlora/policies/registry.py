"""Names to policies: built-ins by ``@register``, a user's own by ``module:Class``.

A policy's dataclass fields are its configuration keys. A wrong name or key is answered with the nearest right one.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from simlora.errors import ConfigError, before, did_you_mean, unknown_name
from simlora.policies.base import ROLES
from simlora.policies.fitting import check_role, typed

_BUILT_IN: dict[str, dict[str, type]] = {role: {} for role in ROLES}
_SHARED_ROLES = {"rebalancing": "preloading"}
_MODULES = (
    "adapters",
    "batching",
    "forecast",
    "keepalive",
    "offloading",
    "placement",
    "predictor",
    "preemption",
    "preloading",
    "routing",
    "scaling",
)

P = TypeVar("P", bound=type)


def register(role: str, name: str) -> Callable[[P], P]:
    """Class decorator: make a built-in policy known under ``name`` in its role."""

    def decorate(policy: P) -> P:
        _BUILT_IN[role][name] = policy
        return policy

    return decorate


@cache
def _load_built_ins() -> None:
    for module in _MODULES:
        importlib.import_module(f"simlora.policies.{module}")


def policies_of(role: str) -> Mapping[str, type]:
    """The built-in policies of a role by name."""
    _load_built_ins()
    return _BUILT_IN[_SHARED_ROLES.get(role, role)]


def policy_class(role: str, name: str, base_dir: Path, where: str = "") -> type:
    """The class behind a name: a built-in, or ``module:Class`` found from ``base_dir``, then the working directory.

    Raises :class:`ConfigError` for a name that does not exist, naming ``where`` and the nearest existing one.
    """
    if ":" not in name:
        known = policies_of(role)
        if name not in known:
            raise unknown_name(f"{role} policy", name, known, where)
        return known[name]
    module_name, _, class_name = name.partition(":")
    module = _import_from(module_name, base_dir, where)
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
        classes = [value.__name__ for value in own if isinstance(value, type)]
        raise unknown_name(f"class in {module_name}", class_name, classes, where)
    return found


def make_policy(role: str, options: Mapping[str, Any], base_dir: Path, where: str = "") -> Any:
    """Build the policy that a configuration table ``{policy = NAME, key = value, ...}`` describes.

    Raises :class:`ConfigError` for an unknown policy or key, a value of another type than its field's or that the
    policy's own ``__post_init__`` refuses, and a policy that lacks what its role asks of it.
    """
    name = options.get("policy")
    if not isinstance(name, str):
        raise ConfigError(f'{before(where)}{role} must say which policy, as in {role} = {{ policy = "none" }}')
    policy = policy_class(role, name, base_dir, where)
    keys = {key: value for key, value in options.items() if key != "policy"}
    if not dataclasses.is_dataclass(policy):
        raise ConfigError(f"{before(where)}{name} is not a dataclass, so its fields can't be set from a file")
    allowed = {f.name for f in dataclasses.fields(policy) if f.init}
    for key in keys:
        if key not in allowed:
            raise ConfigError(f'{before(where)}{role} policy "{name}" has no key "{key}"{did_you_mean(key, allowed)}')
    what = f'{before(where)}{role} policy "{name}"'
    try:
        made = policy(**typed(policy, keys, what))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what}: {error}") from error
    check_role(made, role, what)
    return made


def _import_from(module_name: str, base_dir: Path, where: str) -> Any:
    places = list(dict.fromkeys((str(base_dir.resolve()), str(Path.cwd()))))
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ConfigError(
            f'{before(where)}"{module_name}" is no module name; write module:Class, as in my_policies:Mine'
        )
    _forget_namesake(module_name, places)
    sys.path[:0] = places
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name == module_name.split(".")[0]:
            near = did_you_mean(module_name, {file.stem for place in places for file in Path(place).glob("*.py")})
            raise ConfigError(f'{before(where)}no module "{module_name}" in {" or ".join(places)}{near}') from None
        raise ConfigError(f"{before(where)}{_file(module_name, places)}: {error}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{before(where)}{_blame(error, _file(module_name, places))}") from error
    finally:
        for place in places:
            sys.path.remove(place)


def _file(module_name: str, places: list[str]) -> Path:
    """Where the module's file is, or would be."""
    paths = [Path(place, *module_name.split(".")).with_suffix(".py") for place in places]
    return next((path for path in paths if path.exists()), paths[0])


def _blame(error: BaseException, path: Path) -> str:
    """File, line and error of a policy's module that can't be imported."""
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}:{error.lineno or 1}: {type(error).__name__}: {error.msg}"
    own = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == path.resolve()]
    return f"{path}:{own[-1] if own else 1}: {type(error).__name__}: {error}"


def _forget_namesake(module_name: str, places: list[str]) -> None:
    """A module of the same name that another experiment's folder has brought in is not the one meant here."""
    loaded = getattr(sys.modules.get(module_name), "__file__", None)
    for place in places:
        path = Path(place, *module_name.split(".")).with_suffix(".py")
        if path.exists():
            if loaded is not None and Path(loaded).resolve() != path.resolve():
                del sys.modules[module_name]
            return
