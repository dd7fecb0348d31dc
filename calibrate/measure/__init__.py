"""Micro-benchmarks of one machine. Needs torch and numpy, nothing else; runs from a plain checkout.

    python -m calibrate.measure --device cuda --models llama-2-7b --out measured/

One module measures one thing: it lists its ``cases`` and measures them one by one, so that an interrupted suite goes on
where it stopped. Every case leaves its raw samples.
"""
