"""Forecast: the arrival rate of a function from its past arrivals."""

from simlora.policies.forecast.clairvoyant import ClairvoyantRate, NoisyRate
from simlora.policies.forecast.per_minute import Ewma, Lstm
from simlora.policies.forecast.windows import CountWindow, SlidingWindow

__all__ = ["ClairvoyantRate", "CountWindow", "Ewma", "Lstm", "NoisyRate", "SlidingWindow"]
