"""Settings print without loading any engine."""

import subprocess
import sys


def test_every_section_prints_without_torch_and_without_kernels():
    code = (
        "import sys\n"
        "from tomorois.cli.options import SECTIONS, template_of\n"
        "text = ''.join(template_of(name) for name in SECTIONS)\n"
        "print(text.count('[train'), sorted({'torch', 'open3d', 'vtk'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    sections, engines = done.stdout.split(" ", 1)
    assert int(sections) >= 7
    assert engines.strip() == "[]"
