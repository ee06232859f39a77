"""The demonstration: two shops, an ERP and everything between them on this machine, from the first order to the last.

Nothing of it touches a real system: its settings come from here and not from the environment, and every peer is on loopback.
"""

from app.demo.running import Wishes, clock_shift, run

__all__ = ["Wishes", "clock_shift", "run"]
