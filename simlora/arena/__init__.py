"""The arena: a policy against every registered one of its role, on fixed scenarios.

An arena is an experiment, written from ``experiment.toml``, ``scenarios/`` and ``roles.toml`` and run like any other:
one system per policy, the shipped system of its role with that one policy exchanged.
"""
