# SPDX-License-Identifier: Apache-2.0
"""The lab's pure parts. Boots nothing; smoke.py does. Run: python3 -m unittest discover -s tests/lab"""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import unittest.mock
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/lab"))

from lablib import aptsources, cli, cpio, errors, guest, image, initramfs, kernels, libraries, manifest, outbox, packages, protocol, roles, store  # noqa: E402
from lablib.console import Console  # noqa: E402
from lablib.roles import Candidate  # noqa: E402


class VersionChoice(unittest.TestCase):
    def choose(self, role, *pairs):
        return roles.choose(roles.ROLES[role], [Candidate(*pair) for pair in pairs])

    def test_order_is_dpkgs_not_the_alphabets(self):
        self.assertLess(roles.compare_versions("6.1.9-1", "6.1.10-1"), 0)
        self.assertLess(roles.compare_versions("6.12.1-1~bpo12+1", "6.12.1-1"), 0)
        self.assertEqual(roles.compare_versions("1", "1"), 0)

    def test_newest_floor(self):
        best = self.choose("floor", ("linux-image-6.1.0-9-cloud-amd64", "6.1.27-1"), ("linux-image-6.1.0-10-cloud-amd64", "6.1.37-1"),
                           ("linux-image-6.1.0-56-amd64", "6.1.192-2"), ("linux-image-6.1.0-99-cloud-amd64-dbg", "6.1.999-1"))
        self.assertEqual(best.package, "linux-image-6.1.0-10-cloud-amd64")

    def test_abi_decides_between_equal_versions(self):
        best = self.choose("floor", ("linux-image-6.1.0-10-cloud-amd64", "1"), ("linux-image-6.1.0-9-cloud-amd64", "1"))
        self.assertEqual(best.package, "linux-image-6.1.0-10-cloud-amd64")

    def test_signed_wins_over_unsigned_of_the_same_version_only(self):
        both = [("linux-image-6.12.9+deb12-cloud-amd64-unsigned", "6.12.9-1"), ("linux-image-6.12.9+deb12-cloud-amd64", "6.12.9-1")]
        self.assertEqual(self.choose("lts", *both).package, both[1][0])
        self.assertEqual(self.choose("lts", *both[::-1]).package, both[1][0])
        newer = ("linux-image-6.12.10+deb12-cloud-amd64-unsigned", "6.12.10-1")
        self.assertEqual(self.choose("lts", *both, newer).package, newer[0])

    def test_lts_is_debian_12s(self):
        self.assertIsNone(self.choose("lts", ("linux-image-6.12.9+deb13-cloud-amd64", "6.12.9-1"), ("linux-image-6.12-cloud-amd64", "6.12.9-1")))
        self.assertIsNotNone(self.choose("lts", ("linux-image-6.12.90+deb12.1-cloud-amd64", "6.12.90-2")))

    def test_edge_takes_the_image_itself(self):
        best = self.choose("edge", ("linux-image-7.2.13+deb14-cloud-amd64", "7.2.13-1"), ("linux-binary-7.2.13+deb14-cloud-amd64", "7.2.13-1"),
                           ("linux-binary-unsigned-7.2.13+deb14-cloud-amd64", "7.2.13-1"), ("linux-binary-6.19.9+deb14-cloud-amd64", "6.19.9-1"))
        self.assertEqual(best.package, "linux-binary-7.2.13+deb14-cloud-amd64")

    def test_unsigned_names_of_both_packagings(self):
        self.assertEqual(roles.abi("linux-image-6.1.0-1-cloud-amd64-unsigned"), "6.1.0-1")
        self.assertEqual(roles.abi("linux-binary-unsigned-7.2.1+deb14-cloud-amd64"), "7.2.1+deb14")

    def test_nothing_fits(self):
        self.assertIsNone(self.choose("edge"))

    def test_unknown_role(self):
        with self.assertRaises(errors.LabError) as caught:
            kernels.role_named("flor")
        self.assertEqual(caught.exception.code, errors.EXIT_USAGE)

    def test_packages_file(self):
        text = "Package: linux-image-a\nInstalled-Size: 1\nVersion: 1-1\n\nPackage: linux-image-a\nVersion: 2-1\n\nPackage: zsh\nVersion: 5\n"
        self.assertEqual(kernels.parse_packages(text), [Candidate("linux-image-a", "1-1"), Candidate("linux-image-a", "2-1")])


class AptSources(unittest.TestCase):
    DEB822 = ("# comment\nTypes: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n"
              "Components: main contrib\nSigned-By: /keys/a.gpg\n\nTypes: deb\nURIs: http://mirror.example/debian-security\n"
              "Suites: bookworm-security\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc\n\n"
              "Enabled: no\nTypes: deb\nURIs: http://off.example/\nSuites: sid\nComponents: main\n")

    def test_deb822(self):
        sources = aptsources.parse_deb822(self.DEB822)
        self.assertEqual(len(sources), 2)
        self.assertEqual(aptsources.debian_mirror(sources).uris, ["http://mirror.example/debian"])
        self.assertEqual(aptsources.security_mirror(sources).uris, ["http://mirror.example/debian-security"])
        self.assertIn("\n abc", sources[1].options["Signed-By"])

    def test_one_line(self):
        text = ("# deb http://no.example/ bookworm main\ndeb-src http://src.example/ bookworm main\n"
                "deb [arch=amd64 signed-by=/keys/a.gpg] http://mirror.example/debian bookworm main contrib # why\n"
                "deb http://other.example/tool stable-tool main\n")
        sources = aptsources.parse_list(text)
        mirror = aptsources.debian_mirror(sources)
        self.assertEqual((mirror.uris, mirror.components, mirror.options),
                         (["http://mirror.example/debian"], ["main", "contrib"], {"Signed-By": "/keys/a.gpg"}))
        self.assertIsNone(aptsources.security_mirror(sources))

    def test_stanza_keeps_mirror_and_key(self):
        text = aptsources.stanza(aptsources.parse_deb822(self.DEB822)[0], ("sid",))
        self.assertIn("URIs: http://mirror.example/debian\nSuites: sid\nComponents: main\n", text)
        self.assertIn("Signed-By: /keys/a.gpg", text)
        self.assertEqual(len(aptsources.parse_deb822(text)), 1)


class Manifest(unittest.TestCase):
    def test_the_projects_own(self):
        own = manifest.load(manifest.DEFAULT)
        self.assertIn("bpftool", own.programs)
        self.assertIn(manifest.Tree("build/bin", "/bpfwarden/bin"), own.trees)

    def test_defaults(self):
        parsed = manifest.parse("format = 1\n")
        self.assertEqual((parsed.programs, parsed.trees, parsed.memory, parsed.cpus), ((), (), 2048, 2))

    def test_refusals(self):
        for text, word in (("", "format"), ("format = 1\nprogramms = 1", "programms"), ("format = 1\n[programs]\nname = []", "name"),
                           ("format = 1\n[programs]\nnames = [1]", "strings"), ("format = 1\n[guest]\nmemory = 0", "positive"), ("format = 1\n[debian]\npackages = 'nginx'", "strings"),
                           ("format = 1\n[[tree]]\nfrom = 'a'\nto = '/usr/x'", "/bpfwarden"),
                           ("format = 1\n[[tree]]\nfrom = 'a'\nto = '/bpfwarden/../x'", "/bpfwarden"), ("format = 1\n[[tree]]\nfrom = 'a'", "to"),
                           ("format =", "")):
            with self.subTest(text), self.assertRaises(errors.LabError) as caught:
                manifest.parse(text)
            self.assertIn(word, caught.exception.why)
            self.assertEqual(caught.exception.code, errors.EXIT_USAGE)


class Packages(unittest.TestCase):
    """With real .deb files of our own making, and without a mirror."""

    def setUp(self):
        self.temp = Path(self.enterContext(tempfile.TemporaryDirectory()))
        cache = unittest.mock.patch.dict(os.environ, XDG_CACHE_HOME=str(self.temp / "cache"))
        self.enterContext(cache)
        self.asked = 0

    def deb(self) -> Path:
        for name, text in (("etc/server.conf", "configured"), ("usr/share/doc/server/README", "read me"),
                           ("DEBIAN/control", "Package: server\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y>\nDescription: x\n")):
            file = self.temp / "server" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (self.temp / "server/var/lib/server").mkdir(parents=True, exist_ok=True)
        (self.temp / "server/etc/link").unlink(missing_ok=True)
        (self.temp / "server/etc/link").symlink_to("server.conf")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", self.temp / "server", self.temp / "server.deb"], stdout=subprocess.DEVNULL, check=True)
        return self.temp / "server.deb"

    def mirror(self, answer):
        test = self

        class Mirror:
            def __init__(self, *_):
                test.asked += 1

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

            def update(self):
                if answer is None:
                    raise errors.LabError("no network")

            def download(self, names):
                return [answer]

        return unittest.mock.patch.object(packages, "Apt", Mirror)

    def unpacked(self, answer, **words):
        with self.mirror(answer), contextlib.redirect_stderr(io.StringIO()) as said:
            return packages.unpacked(("server",), **words), said.getvalue()

    def test_contents(self):
        tree, _ = self.unpacked(self.deb())
        self.assertEqual({guest for _, guest in packages.contents(tree)},
                         {"/etc", "/etc/link", "/etc/server.conf", "/usr", "/usr/share", "/var", "/var/lib", "/var/lib/server"})

    def test_those_for_the_disk(self):
        with self.mirror(self.deb()), contextlib.redirect_stderr(io.StringIO()):
            files = dict((str(guest), host) for host, guest in image.tree_files(manifest.parse('format = 1\n[debian]\ndisk = ["server"]\n')))
        self.assertEqual(set(files), {"/bpfwarden/debian/etc/link", "/bpfwarden/debian/etc/server.conf"})
        with contextlib.redirect_stderr(io.StringIO()), self.mirror(None):
            self.assertEqual(list(image.tree_files(manifest.parse('format = 1\n[debian]\ndisk = ["other"]\n'))), [])

    def test_their_libraries_are_beside_them(self):
        # A program that needs a library which only its package has.
        usr = self.temp / "cache/bpfwarden/packages/one/usr"
        (usr / "lib/x86_64-linux-gnu").mkdir(parents=True)
        (usr / "bin").mkdir()
        library, program = usr / "lib/x86_64-linux-gnu/libown.so.1", usr / "bin/program"
        compile = ["cc", "-x", "c", "-"]
        subprocess.run([*compile, "-shared", "-fPIC", "-Wl,-soname,libown.so.1", "-o", library], input=b"int own(void) { return 0; }\n", check=True)
        subprocess.run([*compile, "-o", program, "-x", "none", library], input=b"int own(void); int main(void) { return own(); }\n", check=True)
        needed = libraries.Libraries().of(program)
        self.assertTrue(any("libc.so" in path for path in needed))
        self.assertFalse(any("libown" in path for path in needed), "it comes with the package")
        elsewhere = shutil.copy(program, self.temp / "elsewhere")
        with self.assertRaises(errors.LabError) as caught:
            libraries.Libraries().of(Path(elsewhere))
        self.assertIn("libown.so.1", str(caught.exception))

    def test_the_mirror_is_asked_once(self):
        first, _ = self.unpacked(self.deb())
        self.assertEqual(self.unpacked(None)[0], first)
        self.assertEqual(self.asked, 1)
        self.assertEqual(self.unpacked(None, update=True)[0], first, "an update that fails leaves what there is")
        self.assertEqual(self.asked, 2)

    def test_without_a_mirror_guests_go_without(self):
        tree, said = self.unpacked(None)
        self.assertIsNone(tree)
        self.assertIn("guests go without server", said)
        self.assertEqual(self.unpacked(None), (None, ""), "and it is not asked at every start")
        self.assertEqual(self.asked, 1)
        self.assertIsNotNone(self.unpacked(self.deb(), update=True)[0])

    def test_nothing_to_get(self):
        self.assertIsNone(packages.unpacked(()))


class Protocol(unittest.TestCase):
    WORDS = [b"printf", b"%s|", b"", b" ", b"a'b", b'"$HOME"', b"`x`", b"\\", b"\n\t", b"\xff\xfe", "ü".encode(), b"-n", b"*", b"$(x)", b"a;b"]

    def test_quoting_survives_a_shell(self):
        script = protocol.script_for(self.WORDS)
        for shell in (["sh"], ["busybox", "sh"]):
            with self.subTest(shell), tempfile.NamedTemporaryFile() as file:
                file.write(script)
                file.flush()
                try:
                    done = subprocess.run([*shell, file.name], stdout=subprocess.PIPE)
                except FileNotFoundError:
                    self.skipTest(f"no {shell[0]}")
                self.assertEqual(done.stdout, b"".join(word + b"|" for word in self.WORDS[2:]))

    def test_words_of_the_command_line_keep_their_bytes(self):
        self.assertEqual(protocol.script_for([os.fsdecode(b"\xff")]), b"exec '\xff'\n")

    def test_no_command_and_nul(self):
        for words in ([], [b"a\0b"]):
            with self.assertRaises(ValueError):
                protocol.script_for(words)

    def test_order_is_one_line_then_the_script(self):
        order = protocol.run_order(b"<m>", b"a\nb", 12.6, "ff")
        self.assertEqual(order, b"run <m> 3 13 ff\na\nb")

    def test_marks_are_one_shell_word_and_differ(self):
        a, b = protocol.new_mark(), protocol.new_mark()
        self.assertNotEqual(a, b)
        self.assertNotRegex(a, rb"\s")

    def stream(self, *pieces, mark=b"<MARK>"):
        got = []
        stream = protocol.MarkedStream(mark, got.append)
        for piece in pieces:
            stream.feed(piece)
        return b"".join(got), stream

    def test_mark_in_any_split(self):
        whole = b"a<MA<<MARK>late"
        for cut in range(len(whole)):
            for second in range(cut, len(whole)):
                text, stream = self.stream(whole[:cut], whole[cut:second], whole[second:])
                self.assertEqual((text, stream.ended), (b"a<MA<", True))

    def test_nothing_but_a_possible_mark_is_held_back(self):
        self.assertEqual(self.stream(b"line\n")[0], b"line\n")
        text, stream = self.stream(b"line<MAR")
        self.assertEqual((text, stream.ended), (b"line", False))

    def test_flush_gives_what_was_held(self):
        got = []
        stream = protocol.MarkedStream(b"<MARK>", got.append)
        stream.feed(b"x<MA")
        stream.flush()
        self.assertEqual(b"".join(got), b"x<MA")

    def test_status(self):
        self.assertEqual(protocol.parse_status("ready"), ("ready", 0))
        self.assertEqual(protocol.parse_status("end 137"), ("end", 137))
        self.assertEqual(protocol.parse_status("saved 0"), ("saved", 0))
        for line in ("", "end", "end x", "end -1", "end 1 2", "readyy", "END 1"):
            self.assertIsNone(protocol.parse_status(line), line)

    def test_lines(self):
        lines = protocol.Lines()
        self.assertEqual(lines.feed(b"rea"), [])
        self.assertEqual(lines.feed(b"dy\nend 1\nen"), ["ready", "end 1"])


class ConsoleReading(unittest.TestCase):
    def console(self, *pieces):
        console = Console(io.BytesIO())
        for piece in pieces:
            console.feed(piece)
        return console

    def test_start(self):
        self.assertTrue(self.console(b"boot\nlab: init st", b"arted\r\n").started)
        self.assertFalse(self.console(b"boot").started)

    def test_panic_and_oops(self):
        console = self.console(b"[ 1.0] Kernel panic - not syncing: sysrq triggered crash\r\n")
        self.assertEqual(console.panic, "Kernel panic - not syncing: sysrq triggered crash")
        for text in (b"BUG: unable to handle page fault for address: 0", b"BUG: kernel NULL pointer dereference, address: 0", b"Oops: 0000 [#1]",
                     b"kernel BUG at mm/slub.c:1!", b"general protection fault, probably"):
            self.assertIsNotNone(self.console(text).oops, text)
        self.assertIsNone(self.console(b"all is well, panic=-1").panic)
        self.assertIsNone(self.console(b"WARNING: CPU: 0").oops)

    def test_tail(self):
        self.assertEqual(self.console(b"".join(b"%d\r\n" % n for n in range(100))).tail(2), "98\n99")


class FakeMachine:
    """A machine whose life is a list of what it says at each poll."""

    def __init__(self, *life):
        self.life, self.handlers, self.shutdown, self.closed = list(life), {}, "", False
        self.console = Console(io.BytesIO())

    @property
    def gone(self):
        return not self.life

    def on(self, name, handler):
        self.handlers[name] = handler

    def poll(self, _):
        name, data = self.life.pop(0)
        self.console.feed(data) if name == "console" else self.handlers[name](data)

    def last_words(self):
        return "gone"

    def close(self):
        self.closed = True


class Booting(unittest.TestCase):
    EARLY = (("console", b"BUG: unable to handle page fault for address: 0\n"),)
    LATE = (("console", b"lab: init started\n"), ("console", b"Kernel panic - not syncing: x\n"), ("console", b""))
    GOOD = (("console", b"lab: init started\n"), ("ctl", b"ready\n"), ("console", b""))

    def boot(self, *lives):
        machines = [FakeMachine(*life) for life in lives]
        left = iter(machines)
        with contextlib.redirect_stderr(io.StringIO()):
            try:
                return guest.boot(lambda: next(left)), machines
            except errors.LabError as error:
                return error, machines

    def test_a_boot_that_dies_early_is_tried_again(self):
        booted, machines = self.boot(self.EARLY, self.EARLY, self.GOOD)
        self.assertIs(booted.machine, machines[2])
        self.assertEqual([m.closed for m in machines], [True, True, False])

    def test_not_for_ever(self):
        error, machines = self.boot(*[self.EARLY] * 6)
        self.assertEqual((error.code, [m.closed for m in machines]), (errors.EXIT_LAB, [True] * 5 + [False]))

    def test_nothing_later_is_tried_again(self):
        error, machines = self.boot(self.LATE, self.GOOD)
        self.assertIn("Kernel panic", error.why)
        self.assertEqual([m.closed for m in machines], [True, False])


class Packing(unittest.TestCase):
    def test_cpio_is_what_cpio_reads(self):
        archive = cpio.Archive()
        archive.file("a/b", b"hello", 0o755)
        archive.link("c", "a/b")
        archive.directory("a", 0o700)  # already there: the first word stands
        out = io.BytesIO()
        archive.write(out)
        with tempfile.TemporaryDirectory() as folder:
            try:
                subprocess.run(["cpio", "-idm", "--quiet"], input=out.getvalue(), cwd=folder, check=True)
            except FileNotFoundError:
                self.skipTest("no cpio")
            self.assertEqual(Path(folder, "c").read_bytes(), b"hello")
            self.assertEqual(Path(folder, "a/b").stat().st_mode & 0o777, 0o755)

    def test_cpio_is_deterministic(self):
        def bytes_of(order):
            archive, out = cpio.Archive(), io.BytesIO()
            for name in order:
                archive.file(name, name.encode())
            archive.write(out)
            return out.getvalue()

        self.assertEqual(bytes_of(["x/a", "b"]), bytes_of(["b", "x/a"]))

    def test_modules_bring_what_they_need(self):
        depends = {"k/veth.ko.xz": ["k/a-b.ko.xz"], "k/a-b.ko.xz": ["k/c.ko"], "k/c.ko": [], "k/other.ko": []}
        self.assertEqual(initramfs.close_over(["veth", "built_in"], depends), ["k/a-b.ko.xz", "k/c.ko", "k/veth.ko.xz"])
        self.assertEqual(initramfs.close_over(["a_b"], depends), ["k/a-b.ko.xz", "k/c.ko"])

    def test_ldd(self):
        paths, missing = libraries.parse_ldd(
            "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n"
            "\tlibgone.so.1 => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n\tstatically linked\n")
        self.assertEqual(paths, ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"])
        self.assertEqual(missing, ["libgone.so.1"])

    def test_trees_leave_the_builds_own_files(self):
        self.assertTrue(image._wanted(Path("x.bpf.o")))
        self.assertFalse(image._wanted(Path("x.o")))
        self.assertTrue(image._wanted(Path("x_test")))

    def test_prune_keeps_the_newest(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for age in range(5):
                (folder / f"a-{age}").write_text("")
                os.utime(folder / f"a-{age}", (1000 - age, 1000 - age))
            (folder / "b-9").write_text("")
            store.prune(folder, keep=2, prefix="a-")
            self.assertEqual(sorted(p.name for p in folder.iterdir()), ["a-0", "a-1", "b-9"])

    def test_new_entry_is_all_or_nothing(self):
        with tempfile.TemporaryDirectory() as name:
            final = Path(name, "entry")
            with self.assertRaises(RuntimeError), store.new_entry(final) as temp:
                (temp / "half").write_text("")
                raise RuntimeError
            self.assertEqual(list(Path(name).iterdir()), [])
            with store.new_entry(final) as temp:
                (temp / "whole").write_text("")
            self.assertTrue((final / "whole").exists())


class Outbox(unittest.TestCase):
    def unpack(self, *members, junk=b""):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            for name, kind, data in members:
                member = tarfile.TarInfo(name)
                member.type = kind
                if kind == tarfile.REGTYPE:
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
                else:
                    member.linkname = data.decode()
                    archive.addfile(member)
        target = Path(folder.name, "to")
        with outbox.Receiver() as receiver, contextlib.redirect_stderr(io.StringIO()):
            receiver.write(junk or raw.getvalue())
            saved = receiver.unpack(target)
        return target, saved

    def test_files_and_folders(self):
        target, saved = self.unpack(("./", tarfile.DIRTYPE, b""), ("./d", tarfile.DIRTYPE, b""), ("./d/f", tarfile.REGTYPE, b"\0x"))
        self.assertEqual((target / "d/f").read_bytes(), b"\0x")
        self.assertEqual(saved, ["./d", "./d/f"])

    def test_nothing_leaves_the_target(self):
        target, saved = self.unpack(("../up", tarfile.REGTYPE, b"x"), ("l", tarfile.SYMTYPE, b"/etc"), ("l/x", tarfile.REGTYPE, b"ok"))
        self.assertFalse((target.parent / "up").exists())
        self.assertFalse((target / "l").is_symlink())
        self.assertEqual(saved, ["l/x"])

    def test_an_existing_link_is_not_followed(self):
        with tempfile.TemporaryDirectory() as name:
            target, outside = Path(name, "to"), Path(name, "outside")
            target.mkdir()
            outside.mkdir()
            (target / "l").symlink_to(outside)
            (target / "f").symlink_to(outside / "f")
            raw = io.BytesIO()
            with tarfile.open(fileobj=raw, mode="w") as archive:
                for path in ("l/x", "f"):
                    member = tarfile.TarInfo(path)
                    member.size = 1
                    archive.addfile(member, io.BytesIO(b"x"))
            with outbox.Receiver() as receiver:
                receiver.write(raw.getvalue())
                self.assertEqual(receiver.unpack(target), ["f"])
            self.assertEqual(list(outside.iterdir()), [])

    def test_damage_is_told(self):
        with self.assertRaises(errors.LabError):
            self.unpack(junk=b"no tar" * 200)


class CommandLine(unittest.TestCase):
    def run_lab(self, *argv):
        err = io.StringIO()
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
            try:
                code = cli.main(list(argv))
            except SystemExit as error:
                code = error.code
        return code, err.getvalue()

    def test_usage_errors_are_2(self):
        for argv in ((), ("bake",), ("run", "--", "true"), ("run", "--kernel", "lts"), ("run", "--kernel", "nope", "--", "true"),
                     ("run", "--kernel", "lts", "--manifest", "/nowhere", "--", "true"), ("run", "--kernel", "lts", "--script", "/nowhere")):
            with self.subTest(argv):
                self.assertEqual(self.run_lab(*argv)[0], errors.EXIT_USAGE)

    def test_errors_say_what_why_and_what_to_do(self):
        text = str(errors.LabError("w", "y", "t"))
        self.assertEqual(text, "lab: w\n  why: y\n  do:  t")

    def test_script_with_arguments(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b'echo "$1"\n')
            file.flush()
            self.assertEqual(cli._script(Path(file.name), ["a b"]), b"set -- 'a b'\necho \"$1\"\n")
            self.assertEqual(cli._script(Path(file.name), []), b'echo "$1"\n')


if __name__ == "__main__":
    unittest.main()
