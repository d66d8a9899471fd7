"""The installed package, used from outside of the tree. usage: package_test.py CMAKE SOURCE_FOLDER BUILD_FOLDER"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

CMAKE = sys.argv[1]
SOURCE, BUILD = (pathlib.Path(argument).resolve() for argument in sys.argv[2:4])
LIMIT_S = 150
USAGE_STATUS = 72  # what an image without its node's arguments ends with


def run(*words, **variables):
    # Of the build's own settings, nothing may reach the outside project.
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("CXXFLAGS", "CFLAGS", "LDFLAGS", "CMAKE_PREFIX_PATH", "MAKEFLAGS")}
    return subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, env={**environment, **variables})


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="multilibos-package-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        installed = run(CMAKE, "--install", BUILD, "--prefix", cls.folder / "first")
        if installed.returncode:
            raise RuntimeError(f"cmake --install failed; build everything first:\n{installed.stdout[-2000:]}")
        # A package may be moved before it is used.
        cls.prefix = cls.folder / "moved"
        (cls.folder / "first").rename(cls.prefix)
        cls.built = cls.configure("project")
        if not cls.built.returncode:
            cls.built = run(CMAKE, "--build", cls.folder / "project", "--parallel", 2)

    @classmethod
    def configure(cls, name, build_type="Release", **variables):
        return run(CMAKE, "-S", SOURCE / "tests/package/project", "-B", cls.folder / name,
                   f"-DCMAKE_PREFIX_PATH={cls.prefix}", f"-DCMAKE_BUILD_TYPE={build_type}", "-DCMAKE_CXX_FLAGS=-Wall -Wextra",
                   **variables)

    def test_builds_an_application_outside_of_the_tree(self):
        self.assertEqual(self.built.returncode, 0, self.built.stdout[-4000:])

    def test_leaves_warnings_to_the_application(self):
        self.assertIn("warning: unused parameter", self.built.stdout)
        self.assertNotIn("moved/include", "\n".join(line for line in self.built.stdout.splitlines() if "warning:" in line))

    def test_runs_on_process_nodes(self):
        done = run(self.folder / "project/tally", "--ebb-backends=2", "--ebb-driver=process", "--ebb-quiet")
        self.assertEqual((done.returncode, done.stdout), (0, "tally 14\n"))

    def test_runs_without_optimisation(self):
        self.assertEqual(self.configure("plain", build_type="").returncode, 0)
        built = run(CMAKE, "--build", self.folder / "plain", "--parallel", 2, "--target", "tally")
        self.assertEqual(built.returncode, 0, built.stdout[-4000:])
        self.assertNotRegex((self.folder / "plain/CMakeFiles/tally.dir/flags.make").read_text(), r"-O[1-3s]")
        done = run(self.folder / "plain/tally", "--ebb-backends=2", "--ebb-driver=process", "--ebb-quiet")
        self.assertEqual((done.returncode, done.stdout), (0, "tally 14\n"))

    def test_has_all_that_examples_include_where_they_are_copied_to(self):
        copies = self.folder / "copies"
        shutil.copytree(SOURCE / "examples", copies)
        for source in sorted(copies.glob("*/*.cc")):
            done = run("c++", "-std=c++20", "-fsyntax-only", "-I", self.prefix / "include", source)
            self.assertEqual(done.returncode, 0, done.stdout[-2000:])

    def test_boots_as_an_image_that_says_what_it_lacks(self):
        done = run(SOURCE / "tests/guest/run-image", "--timeout", 60, self.folder / "project/tally.elf")
        self.assertEqual(done.returncode, USAGE_STATUS, done.stdout)
        self.assertRegex(done.stdout, r"\Anode: [^\n]*a node needs --ebb-node=N and --ebb-frontend=[^\n]*\n\Z")

    def test_gives_the_image_the_names_of_its_functions(self):
        symbols = run("nm", self.folder / "project/tally.elf")
        self.assertEqual(symbols.returncode, 0, symbols.stdout)
        self.assertRegex(symbols.stdout, r" R ebb_symbol_count\n")

    def test_installs_the_command(self):
        done = run(self.prefix / "bin/ebb", "--help")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("nodes", done.stdout)

    def test_installs_every_public_header_and_no_other(self):
        def headers(root):
            return sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
        self.assertEqual(headers(self.prefix / "include"), headers(SOURCE / "include"))

    def test_knows_nothing_of_the_machine_that_built_it(self):
        for path in sorted((self.prefix / "lib/cmake").rglob("*.cmake")):
            text = path.read_text()
            for word in (SOURCE, BUILD, self.folder, "/usr/lib", "-Werror", "-fsanitize", "ebb_settings", "_sources"):
                self.assertFalse(str(word) in text, f"{path.name} holds {word}")

    def test_names_the_debian_package_of_each_missing_dependency(self):
        done = self.configure("missing", PKG_CONFIG_LIBDIR="/nonexistent")
        self.assertNotEqual(done.returncode, 0)
        for what, package in (("grpc++", "libgrpc++-dev"), ("sqlite3", "libsqlite3-dev"), ("libvirt", "libvirt-dev")):
            self.assertIn(f"multilibos needs {what}: install the Debian package {package}\n", done.stdout)
        self.assertNotIn("libsodium", done.stdout)


unittest.main(argv=sys.argv[:1], verbosity=2)
