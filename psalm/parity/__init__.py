"""Does our code give the published code's numbers? Runs any folder of recorded numbers through the public modules."""

from psalm.parity.findings import Finding, worst_of_each
from psalm.parity.runner import run_parity

__all__ = ["Finding", "run_parity", "worst_of_each"]
