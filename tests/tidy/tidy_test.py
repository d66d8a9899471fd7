"""Each check against a small tree that breaks its rule, and one that keeps it."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import assembly
import include_arrows
import kernel_initializers
import lone_headers
import long_files


class Check(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="multilibos-tidy-"))
        self.addCleanup(shutil.rmtree, self.root)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def places(self, found):
        """Where the check complained: path:line."""
        return sorted(":".join(line.split(":")[:2]) for line in found)


class IncludeArrows(Check):
    def found(self, path, text):
        self.write(path, text)
        return self.places(include_arrows.violations(self.root))

    def test_points_down(self):
        self.assertEqual(self.found("src/object/a.cc", '#include "ebb/async/task.h"\n#include "src/object/a.h"\n#include <map>\n'), [])

    def test_finds_an_arrow_up(self):
        self.assertEqual(self.found("include/ebb/base/a.h", '#pragma once\n#include "ebb/async/task.h"\n'), ["include/ebb/base/a.h:2"])

    def test_finds_the_front_end_and_the_kernel_in_each_other(self):
        self.write("frontend/program/a.cc", '#include "kernel/cpu/apic.h"\n')
        self.assertEqual(self.found("kernel/platform/a.cc", '#include "frontend/cluster/cluster.h"\n'),
                         ["frontend/program/a.cc:1", "kernel/platform/a.cc:1"])

    def test_finds_private_headers_in_public_ones_and_in_applications(self):
        self.write("include/ebb/a.h", '#include "src/async/loop.h"\n')
        self.assertEqual(self.found("examples/a/main.cc", '#include "frontend/program/options.h"\n'),
                         ["examples/a/main.cc:1", "include/ebb/a.h:1"])

    def test_finds_linux_in_portable_code(self):
        self.write("src/hosted/core.cc", "#include <sys/epoll.h>\n#include <sys/socket.h>\n")
        self.assertEqual(self.found("src/node/a.cc", "#include <unistd.h>\n"), ["src/node/a.cc:1"])

    def test_finds_an_exception_used_elsewhere(self):
        self.write("src/async/context_stack.cc", "#include <sys/mman.h>\n")
        self.assertEqual(self.found("src/async/other.cc", "#  include <sys/mman.h>\n"), ["src/async/other.cc:1"])

    def test_finds_a_heavy_dependency_outside_of_its_adapter(self):
        self.write("frontend/service/server.cc", "#include <grpcpp/grpcpp.h>\n")
        self.assertEqual(self.found("frontend/cluster/a.cc", "#include <grpcpp/grpcpp.h>\n#include <sqlite3.h>\n"),
                         ["frontend/cluster/a.cc:1", "frontend/cluster/a.cc:2"])

    def test_finds_a_folder_without_a_row(self):
        self.assertEqual(self.found("src/new/a.cc", '#include "ebb/node.h"\n'), ["src/new/a.cc:1"])


class Assembly(Check):
    def found(self, path, text):
        self.write(path, text)
        return self.places(assembly.violations(self.root))

    def test_leaves_the_processor_its_instructions(self):
        self.assertEqual(self.found("kernel/cpu/a.h", 'inline void f() { asm volatile("cli"); }\n'), [])

    def test_finds_inline_assembly_elsewhere(self):
        self.assertEqual(self.found("kernel/memory/a.cc", '// asm(\nvoid f() {\n  asm volatile("nop");\n}\n'), ["kernel/memory/a.cc:3"])

    def test_finds_privileged_instructions_where_assembly_is_allowed(self):
        self.write("include/ebb/platform/translation_table.h", 'void f() {\n  asm("movq %%gs:0, %0");\n  asm("mov %0, %%cr3");\n}\n')
        self.assertEqual(self.found("kernel/libc/a.S", "// sti\n  call in\n  sti\n"),
                         ["include/ebb/platform/translation_table.h:3", "kernel/libc/a.S:3"])

    def test_reads_no_words_of_strings_or_comments(self):
        self.assertEqual(self.found("src/node/a.cc", '/* asm("cli") */ const char* text = "hlt in out"; // asm("sti")\n'), [])


class LongFiles(Check):
    def test_counts_lines(self):
        self.write("docs/a.md", "line\n" * 600)
        self.write("src/node/b.cc", "\n" * 601)
        self.assertEqual(self.places(long_files.violations(self.root)), ["src/node/b.cc:1"])


class LoneHeaders(Check):
    def found(self):
        return self.places(lone_headers.violations(self.root, "g++", self.root / "memory"))

    def test_finds_a_missing_include_and_notices_the_repair(self):
        self.write("include/ebb/good.h", "#pragma once\nstruct Good {};\n")
        self.write("include/ebb/bad.h", "#pragma once\ninline Good make() { return {}; }\n")
        self.assertEqual(self.found(), ["include/ebb/bad.h:1"])
        self.write("include/ebb/bad.h", '#pragma once\n#include "ebb/good.h"\ninline Good make() { return {}; }\n')
        self.assertEqual(self.found(), [])

    def test_notices_a_change_in_what_is_included(self):
        self.write("include/ebb/inner.h", "#pragma once\nstruct Inner {};\n")
        self.write("include/ebb/outer.h", '#pragma once\n#include "ebb/inner.h"\ninline Inner make() { return {}; }\n')
        self.assertEqual(self.found(), [])
        self.write("include/ebb/inner.h", "#pragma once\nstruct Other {};\n")
        self.assertEqual(self.found(), ["include/ebb/outer.h:1"])

    def test_finds_a_missing_guard(self):
        self.write("include/ebb/a.h", "struct A {};\n")
        self.assertEqual(self.found(), ["include/ebb/a.h:1"])


class KernelInitializers(Check):
    def found(self, text):
        self.write("a.cc", text)
        subprocess.run(["g++", "-O1", "-c", "a.cc", "-o", "a.o"], cwd=self.root, check=True)
        subprocess.run(["ar", "rc", "liba.a", "a.o"], cwd=self.root, check=True)
        return len(list(kernel_initializers.violations("nm", self.root / "liba.a")))

    def test_accepts_constants(self):
        self.assertEqual(self.found("struct A { int value = 3; }; A a; int b[4];\n"), 0)

    def test_finds_an_object_made_at_run_time(self):
        self.assertEqual(self.found("int make(); int value = make();\n"), 1)

    def test_finds_a_guarded_static(self):
        self.assertEqual(self.found("int make(); int get() { static int value = make(); return value; }\n"), 1)

    def test_finds_a_destructor_at_exit(self):
        self.assertGreater(self.found("struct A { ~A(); }; A a;\n"), 0)


unittest.main(verbosity=2)
