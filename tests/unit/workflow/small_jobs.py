"""Jobs that need no refinement, for executors of any kind."""

import time
from dataclasses import dataclass

from torchref_kinetic_plugin.errors import KineticsError
from torchref_kinetic_plugin.workflow.tasks import Job, SharedRefinement

NOTHING = SharedRefinement("none.toml", "none", "{}", True, "")


@dataclass(frozen=True)
class Square(Job):
    """The square of its number; 3 fails, and large numbers take their time."""

    number: int
    seconds: float = 0.0
    shared: SharedRefinement = NOTHING

    def compute(self, run):
        if self.number == 3:
            raise KineticsError("three is not squared\nfor a reason")
        time.sleep(self.seconds)
        return self.number**2, run
