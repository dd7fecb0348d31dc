"""The life of a request as SimPy processes, written once for virtual and for real time.

In order: :mod:`simulation` (arrivals), :mod:`frontend` (form a batch, route), :mod:`starting` (bind, place),
:mod:`reserving` and :mod:`start_up` (memory and cold-start stages), :mod:`serving` and :mod:`batches` (admit, run
segments, finish), :mod:`idling` (keep-alive). Beside it: :mod:`making_room`, :mod:`planning`, :mod:`scaling`,
:mod:`usage`; :mod:`checks` guards every decision. :mod:`failing` takes what fails, :mod:`mishaps` has it fail as a
scenario says. :mod:`relaxation` computes what no system can beat.
"""

from simlora.engine.relaxation import relax
from simlora.engine.simulation import Simulation, StalledError, simulate
from simlora.results.recorder import RunRecord

__all__ = ["RunRecord", "Simulation", "StalledError", "relax", "simulate"]
