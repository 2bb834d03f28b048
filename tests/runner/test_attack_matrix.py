# SPDX-License-Identifier: Apache-2.0
"""docs/attack-matrix.md says what was run, and nothing else."""

import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from runner import attack_matrix  # noqa: E402
from runner.attack_matrix import Incomplete, document  # noqa: E402

LISTING = "unlink\tpolicy\town\t\tthe pin is unlinked\nfreeze\tother\t\tno hook sees it\tit is frozen\nbeneath\tact\t\t\tsomething new\n"


def records(**other) -> list[dict]:
    """A whole run; other[case] is the result of that case on floor, or None for one that was not run."""
    made = []
    for role in attack_matrix.ROLES:
        for name in ("unlink", "freeze", "beneath"):
            for suite in ("Control", "Sealed", *(["Guard"] if name == "unlink" else [])):
                result = "skipped" if (role, name) == ("floor", "beneath") else "passed"
                if role == "floor":
                    result = other.get(f"{suite}_{name}", result)
                if result:
                    made.append({"suite": f"vm-{role}-attack", "name": f"attack/{suite}.{name}", "kernel": role, "result": result,
                                 "reason": "from Linux 6.5" if result == "skipped" else "", "release": f"{role}-1"})
    return made


class AttackMatrix(unittest.TestCase):
    def setUp(self):
        self.vectors = attack_matrix.vectors(LISTING)

    def test_a_row_a_vector(self):
        text = document(self.vectors, records())
        self.assertIn("| `unlink` | the pin is unlinked | gone → decides, own | gone → decides, own | gone → decides, own |\n", text)
        self.assertIn("| `freeze` | it is frozen | done → done[^2] | done → done[^2] | done → done[^2] |\n", text)
        self.assertIn("| `beneath` | something new | not there[^1] | done → refused | done → refused |\n", text)
        self.assertIn("[^1]: from Linux 6.5.\n[^2]: no hook sees it.\n", text)
        self.assertIn("*edge* edge-1", text)
        self.assertIn("3 vectors. floor: 5 cases passed, 2 not there; lts: 7 cases passed, 0 not there", text)

    def test_nothing_that_was_not_run(self):
        for other in ({"Control_unlink": None}, {"Guard_unlink": None}, {"Sealed_freeze": "failed"}, {"Sealed_unlink": "skipped"}):
            with self.subTest(other), self.assertRaises(Incomplete):
                document(self.vectors, records(**other))
        with self.assertRaises(Incomplete):
            document(self.vectors, [one for one in records() if one["kernel"] != "edge"])


if __name__ == "__main__":
    unittest.main()
