"""Systems: policies plus mechanism facts, one TOML each with a page beside it."""

from simlora.systems.config import SystemConfig, build_policies, list_bounds, list_systems, load_system

__all__ = ["SystemConfig", "build_policies", "list_bounds", "list_systems", "load_system"]
