"""Builds the golden test with another compiler than the tree's, and runs it.

usage: golden_elsewhere.py COMPILER SOURCE INCLUDE-FOLDER
"""
import os
import subprocess
import sys
import tempfile

compiler, source, folder = sys.argv[1:]
with tempfile.TemporaryDirectory() as place:
    program = os.path.join(place, "golden")
    subprocess.run([compiler, "-std=c++20", f"-I{folder}", source, "-o", program], check=True)
    sys.exit(subprocess.run([program], check=False).returncode)
