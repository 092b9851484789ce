"""The portal's stand-in: the same paths, answers and cookie as OIG Cloud, with faults on demand.

`build_app(Simulator())` gives the application, to be called in the process or served by
`python -m simulator`. The program itself never imports it.
"""

from .app import build_app
from .portal import Simulator

__all__ = ["Simulator", "build_app"]
