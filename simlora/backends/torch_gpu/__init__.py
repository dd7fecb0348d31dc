"""The back-end that does the work for real: one operating-system process per function instance, torch on a device.

The engine's process never touches the device and imports no torch: it asks processes (:mod:`.process`), which do the
stages of a cold start and the steps of a batch (:mod:`.worker`). Weights of a backbone are loaded once by a process of
their own and mapped by the functions that share it (:mod:`.weights`).
"""
