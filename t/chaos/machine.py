"""The order's state machine, as the library says it: `state-machine json`, built from libfoodsvc.
No table is written here."""

import json
import subprocess


class Machine:
    """What may follow what."""

    def __init__(self, states):
        self.states = states

    @classmethod
    def of_program(cls, path):
        """Asks the program that was built from the library."""
        return cls(json.loads(subprocess.run([path, "json"], check=True, capture_output=True, text=True).stdout))

    def walk(self, history):
        """Plays a stored history (`created` is not part of it).

        Returns the state it ends in, whether something was noted there (paid after failed),
        and what is illegal or None."""
        state, noted = "created", False
        for position, status in enumerate(history, 1):
            if status not in self.states:
                return state, noted, f"step {position}: there is no status {status}"
            verdict = self.states[state]["events"][status]
            if verdict in ("applied", "early") or self.states[state]["cancel"] == status:
                state, noted = status, False
            elif verdict == "noted" and not noted:
                noted = True
            else:
                return state, noted, f"step {position}: {status} is {verdict} in {state}"
        return state, noted, None
