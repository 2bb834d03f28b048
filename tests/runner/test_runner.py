# SPDX-License-Identifier: Apache-2.0
"""tests/run on programs that behave badly. A runner that takes a crash, a hang or a silent skip for success is worse than none."""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from runner import gtest, guest, host, process, settings  # noqa: E402
from runner.result import FAILED, PASSED, SKIPPED, Case, Record  # noqa: E402
from runner.run import Run  # noqa: E402

# As GoogleTest 1.12 prints it.
TEXT = """Running main() from gtest_main.cc
[==========] Running 5 tests from 2 test suites.
[----------] 4 tests from A
[ RUN      ] A.ok
a child's words without an end[       OK ] A.ok (12 ms)
[ RUN      ] A.skip
a_test.cpp:2: Skipped
no tokens
here

[  SKIPPED ] A.skip (0 ms)
[ RUN      ] A.fail
a_test.cpp:9: Failure
Expected equality of these values:
  1
  2
[  FAILED  ] A.fail, where GetParam() = 4 (3 ms)
[ RUN      ] A.bare
a_test.cpp:4: Skipped

[  SKIPPED ] A.bare (0 ms)
[----------] 4 tests from A (0 ms total)

[----------] 1 test from S
s_test.cpp:5: Skipped
the whole suite
[ RUN      ] S.one
s_test.cpp:6: Skipped

[  SKIPPED ] S.one (0 ms)
[==========] 5 tests from 2 test suites ran. (0 ms total)
[  PASSED  ] 1 test.
[  SKIPPED ] 3 tests, listed below:
[  FAILED  ] A.fail
"""


def report(**results) -> str:
    cases = [{"name": name, "status": "RUN", "result": "SKIPPED" if result == SKIPPED else "COMPLETED", "time": "0.25s",
              **({"failures": [{"failure": "x"}]} if result == FAILED else {})} for name, result in results.items()]
    return json.dumps({"testsuites": [{"name": "A", "testsuite": cases}]})


def by_name(outcomes) -> dict:
    return {o.name: (o.result, o.reason) for o in outcomes}


class Text(unittest.TestCase):
    def test_results_and_reasons(self):
        self.assertEqual(by_name(gtest.read_text(TEXT).values()), {
            "A.ok": (PASSED, ""), "A.skip": (SKIPPED, "no tokens here"), "A.bare": (SKIPPED, "no reason given"),
            "A.fail": (FAILED, "a_test.cpp:9: Expected equality of these values: 1 2"), "S.one": (SKIPPED, "the whole suite")})
        self.assertEqual(gtest.read_text(TEXT)["A.ok"].ms, 12)

    def test_a_crash_fails_the_case_that_ran(self):
        text = "[ RUN      ] A.one\n[       OK ] A.one (0 ms)\n[ RUN      ] A.two\nlast words\n"
        self.assertEqual(by_name(gtest.judge(text, None, "killed by SIGSEGV")),
                         {"A.one": (PASSED, ""), "A.two": (FAILED, "killed by SIGSEGV")})

    def test_a_crash_between_cases_is_not_lost(self):
        text = "[ RUN      ] A.one\n[       OK ] A.one (0 ms)\n"
        self.assertIn(FAILED, [o.result for o in gtest.judge(text, None, "killed by SIGSEGV")])
        self.assertIn(FAILED, [o.result for o in gtest.judge(text, report(one=PASSED), "killed by SIGSEGV")])

    def test_a_program_that_says_nothing(self):
        self.assertEqual([o.result for o in gtest.judge("", None, "ended with status 3")], [FAILED])

    def test_a_parameter_is_no_part_of_the_name(self):
        text = "[ RUN      ] I/P.q/0\n[  FAILED  ] I/P.q/0, where GetParam() = 4-byte object <04-00> (3 ms)\n"
        self.assertEqual(list(gtest.read_text(text)), ["I/P.q/0"])


class Json(unittest.TestCase):
    def test_it_overrules_the_text(self):
        text = "[ RUN      ] A.x\n[       OK ] A.x (0 ms)\n"
        self.assertEqual(by_name(gtest.judge(text, report(x=FAILED), ""))["A.x"][0], FAILED)

    def test_the_text_gives_the_reason(self):
        outcomes = by_name(gtest.judge(TEXT, report(ok=PASSED, skip=SKIPPED, fail=FAILED, bare=SKIPPED), ""))
        self.assertEqual(outcomes["A.skip"], (SKIPPED, "no tokens here"))

    def test_a_broken_one_fails(self):
        self.assertIn(FAILED, [o.result for o in gtest.judge("", "{", "")])

    def test_disabled_is_a_skip_and_filtered_is_nothing(self):
        cases = [{"name": name, "status": "NOTRUN", "result": "SUPPRESSED", "time": "0s"} for name in ("DISABLED_x", "y")]
        outcomes = gtest.judge("", json.dumps({"testsuites": [{"name": "A", "testsuite": cases}]}), "")
        self.assertEqual(by_name(outcomes), {"A.DISABLED_x": (SKIPPED, "disabled")})


class Script(unittest.TestCase):
    def ended(self, text, status=0):
        return {c.name: (c.result, c.reason) for c in host.read_script("check", "s", process.Ended(status, False, 1, text))}

    def test_lines(self):
        self.assertEqual(self.ended("ok a b\nnot ok c: why: so\nskip d: no tool\nnoise\n", 1),
                         {"s/a b": (PASSED, ""), "s/c": (FAILED, "why: so"), "s/d": (SKIPPED, "no tool")})

    def test_a_status_without_lines(self):
        self.assertEqual(self.ended("x\n"), {"s": (PASSED, "")})
        self.assertEqual(self.ended("x\nno man\n", 77), {"s": (SKIPPED, "no man")})
        self.assertEqual(self.ended("", 3), {"s": (FAILED, "ended with status 3")})

    def test_it_died_after_its_last_line(self):
        self.assertEqual(self.ended("ok a\n", -11)["s/(script)"], (FAILED, "killed by SIGSEGV"))


class Process(unittest.TestCase):
    def run_it(self, *argv, timeout=20.0):
        with tempfile.TemporaryDirectory() as folder:
            return process.run(argv, Path(folder) / "log", timeout, Path(folder))

    def test_a_hang_is_ended_with_its_children(self):
        ended = self.run_it("sh", "-c", "sleep 300 & echo $!; trap '' TERM; while :; do sleep 1; done", timeout=0.5)
        self.assertTrue(ended.timed_out)
        self.assertIn("still running", ended.badly())
        state = Path(f"/proc/{ended.text.split()[0]}/stat")
        self.assertTrue(not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z")

    def test_a_child_left_behind_holds_nothing_up(self):
        ended = self.run_it("sh", "-c", "sleep 300 & echo done")
        self.assertEqual((ended.status, ended.timed_out, ended.text), (0, False, "done\n"))
        self.assertLess(ended.seconds, 10)

    def test_how_it_ended(self):
        self.assertEqual(self.run_it("sh", "-c", "kill -SEGV $$").badly(), "killed by SIGSEGV")
        self.assertEqual(self.run_it("sh", "-c", "exit 1").badly(good=(0, 1)), "")
        self.assertIn("cannot run", self.run_it("/no/such/program").text)


class Skips(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self.addCleanup(self._folder.cleanup)

    def expected(self, text):
        path = self.folder / "expected-skips.toml"
        path.write_text(text)
        return settings.ExpectedSkips(path)

    def run_with(self, text) -> Run:
        return Run(self.folder, self.folder, Record(self.folder / "results.jsonl"), settings.Budgets({}, {"default": 5}), self.expected(text))

    def test_an_unknown_skip_becomes_a_failure(self):
        run = self.run_with('format = 1\n[[skip]]\nsuite = "vm-*"\nreason = "no token*"\nbecause = "6.1"\n')
        cases = [Case("vm-floor", "a/B.c", "floor", SKIPPED, "no token here"), Case("root", "a/B.c", "host", SKIPPED, "no token here"),
                 Case("vm-floor", "a/B.d", "floor", SKIPPED, "something else")]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            run.finish("vm-floor", "a", cases, 0)
        self.assertEqual([c.result for c in cases], [SKIPPED, FAILED, FAILED])
        self.assertIn("not in expected-skips.toml", out.getvalue())
        written = [json.loads(line) for line in (self.folder / "results.jsonl").read_text().splitlines()]
        self.assertEqual([w["result"] for w in written], [SKIPPED, FAILED, FAILED])
        self.assertEqual(set(written[0]), {"suite", "name", "kernel", "result", "reason", "ms", "release"})
        run.record.close()

    def test_an_entry_that_never_fits_is_told(self):
        expected = self.expected('format = 1\n[[skip]]\nreason = "x"\nbecause = "y"\n[[skip]]\nreason = "z"\nbecause = "y"\noccasional = true\n')
        self.assertEqual([e["reason"] for e in expected.unused()], ["x"])
        self.assertTrue(expected.covers(Case("a", "b", "c", SKIPPED, "x")))
        self.assertEqual(expected.unused(), [])

    def test_an_entry_must_say_why(self):
        for text in ('format = 1\n[[skip]]\nreason = "x"\n', 'format = 1\n[[skip]]\nreason = "x"\nbecause = "y"\nkernal = "z"\n', "x = 1\n"):
            with self.assertRaises(settings.BadFile):
                self.expected(text)


class Parts(unittest.TestCase):
    def test_each_program_is_in_one_suite_of_a_kernel(self):
        names = ["vm-lts", *(f"vm-lts-{part}" for part in guest.PARTS)]
        for program, suite in (("systemd", "vm-lts"), ("policy_pins", "vm-lts-policy"), ("attack", "vm-lts-attack"), ("policy", "vm-lts-policy")):
            self.assertEqual([name for name in names if guest.belongs(program, name)], [suite], program)


class Limits(unittest.TestCase):
    def test_a_soak_has_ten_times_as_long_or_what_is_said(self):
        budgets = settings.Budgets({}, {"default": 5, "unit/a": 7}, {"unit/b": 900})
        self.assertEqual([budgets.timeout("unit", name) for name in "abc"], [7, 5, 5])
        self.assertEqual([budgets.soak_timeout("unit", name) for name in "abc"], [70, 900, 50])

    def test_a_run_asks_for_the_limit_of_its_kind(self):
        budgets = settings.Budgets({}, {"default": 5}, {"unit/b": 900})
        for soak, limit in ((False, 5), (True, 900)):
            run = Run(Path(), Path(), None, budgets, None, soak=soak)
            self.assertEqual(run.timeout("unit", "b"), limit)


class Whole(unittest.TestCase):
    """The program itself, on a build folder of fake GoogleTest programs."""

    def go(self, *words, **programs):
        with tempfile.TemporaryDirectory() as folder:
            for name, body in programs.items():
                path = Path(folder) / "tests/unit" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("#!/bin/bash\n" + body)
                path.chmod(0o755)
            (Path(folder) / "tests").mkdir(exist_ok=True)
            done = subprocess.run([sys.executable, TESTS / "run", "--build", folder, *words], stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            return done.returncode, done.stdout.splitlines()[-1] if done.stdout else "", done.stdout

    GOOD = 'echo "[ RUN      ] A.x"; echo "[       OK ] A.x (1 ms)"\n'

    def test_good(self):
        self.assertEqual(self.go("unit", good=self.GOOD)[:2], (0, "1 passed, 0 failed, 0 skipped"))

    def test_bad(self):
        for body in ('kill -9 $$', self.GOOD + "exit 1", 'echo "[ RUN      ] A.x"; exit 0', 'echo "[ RUN      ] A.x"; echo "[  FAILED  ] A.x (1 ms)"',
                     'echo "[ RUN      ] A.x"; echo "[  SKIPPED ] A.x (1 ms)"'):
            status, last, _ = self.go("unit", good=self.GOOD, bad=body)
            self.assertEqual(status, 1, body)
            self.assertRegex(last, r"^\d passed, 1 failed, 0 skipped$", body)

    def test_nothing_ran(self):
        self.assertEqual(self.go("unit")[:2], (1, "0 passed, 1 failed, 0 skipped"))
        self.assertEqual(self.go("nonsense")[0], 2)


class Guest(unittest.TestCase):
    """A lab that is a shell script: the guest's script runs here, with its folder of programs put elsewhere."""

    LAB = """#!/bin/bash
while [ $# -gt 0 ]; do case $1 in --script) script=$2;; --save) save=$2;; esac; shift; done
mkdir -p "$save"
sed -e "s#/bpfwarden#$BASE#; s#/out/#$save/#; s#unshare --mount --propagation private --##" "$script" >"$BASE/s"
sh "$BASE/s"; exit $(cat "$BASE/status" 2>/dev/null || echo 0)
"""

    def go(self, status=0, **programs):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            lab = folder / "tools/lab/lab"
            for path, body in ((lab, self.LAB.replace("$BASE", name)),
                               *((folder / "tests/root" / p, "#!/bin/bash\n" + body) for p, body in programs.items())):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(body)
                path.chmod(0o755)
            (folder / "status").write_text(str(status))
            (folder / "skips").write_text("format = 1\n")
            run = Run(folder, folder, Record(folder / "results.jsonl"), settings.Budgets({}, {"default": 2}),
                      settings.ExpectedSkips(folder / "skips"))
            with contextlib.redirect_stdout(io.StringIO()):
                guest.suite(run, "vm-lts")
            run.record.close()
            return {c.name: (c.result, c.reason) for c in run.record.cases}

    def test_programs_run_and_their_ends_are_told_apart(self):
        got = self.go(a_good=Whole.GOOD, b_crash='echo "[ RUN      ] B.x"; kill -SEGV $$', c_hang='echo "[ RUN      ] C.x"; sleep 60',
                      d_silent="exit 0", e_good='printf "no newline"; ' + Whole.GOOD.replace("A.x", "E.x"))
        self.assertEqual(got["a_good/A.x"], (PASSED, ""))
        self.assertEqual(got["b_crash/B.x"], (FAILED, "killed by signal 11"))
        self.assertEqual(got["c_hang/C.x"][0], FAILED)
        self.assertIn("still running after", got["c_hang/C.x"][1])
        self.assertEqual(got["e_good/E.x"], (PASSED, ""))
        self.assertEqual(got["d_silent/(program)"], (FAILED, "it ran no case"))

    def test_a_dead_guest_fails_its_program_and_the_next_guest_goes_on(self):
        got = self.go(a_good=Whole.GOOD, b_kills='echo "[ RUN      ] B.x"; kill -9 $(ps -o ppid= -p $PPID) $PPID', c_good=Whole.GOOD)
        self.assertEqual((got["a_good/A.x"][0], got["b_kills/B.x"][0], got["c_good/A.x"][0]), (PASSED, FAILED, PASSED))
        self.assertIn("the guest failed", got["b_kills/B.x"][1])

    def test_a_failing_lab_is_a_failure(self):
        got = self.go(status=125, a_good=Whole.GOOD)
        self.assertEqual(got["(guest 1)"][0], FAILED)


if __name__ == "__main__":
    unittest.main()
