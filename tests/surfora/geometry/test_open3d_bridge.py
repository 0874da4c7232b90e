"""Open3D loads on a machine without libusb, in a process that imported nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import shapes


def test_open3d_loads_in_a_fresh_process():
    code = (
        "from surfora.geometry.open3d_bridge import import_open3d\n"
        "o3d = import_open3d()\n"
        "assert import_open3d() is o3d\n"
        "sphere = o3d.geometry.TriangleMesh.create_sphere()\n"
        "print(len(sphere.sample_points_uniformly(100).points))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "100"


def test_its_pictures_in_a_browser_are_loaded_when_they_are_asked_for():
    code = (
        "import sys\n"
        "from surfora.geometry.open3d_bridge import import_open3d\n"
        "o3d = import_open3d()\n"
        "before = 'plotly' in sys.modules\n"
        "figure = o3d.visualization.get_plotly_fig([o3d.geometry.TriangleMesh.create_sphere()])\n"
        "print(before, type(figure).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "Figure"]


def test_an_interrupt_while_it_loads_is_not_lost_and_it_can_be_loaded_again():
    code = (
        "import os, subprocess, sys, time\n"
        "from surfora.geometry.open3d_bridge import import_open3d\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'open3d.pybind':\n"
        "            subprocess.Popen(['sh', '-c', f'sleep 0.3; kill -INT {os.getpid()}'])\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "try:\n"
        "    import_open3d()\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
        "sys.meta_path.pop(0)\n"
        "print(import_open3d().geometry.TriangleMesh().is_empty())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["interrupted", "True"]


def run_quietly(body):
    code = (
        "import os, sys\n"
        "from surfora.geometry.open3d_bridge import without_chatter\n"
        "os.write(2, b'before\\n')\n"
        f"{body}\n"
        "os.write(2, b'after\\n')\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_chatter_is_held_back_and_all_else_passed_on():
    done = run_quietly(
        "with without_chatter():\n"
        "    print('from Python')\n"
        "    os.write(2, b'[WARNING] Src/PoissonRecon/FEMTree.inl (Line 155)\\n')\n"
        "    os.write(2, b'          getValue assumes leaf node\\n          _getValues\\nfrom C\\n')\n"
        "    os.write(2, b'          Extract\\n          bad average roots: 2\\n')\n"
    )
    assert done.stderr.splitlines() == ["before", "from C", "after"]
    assert done.stdout.splitlines() == ["from Python"]


def test_output_comes_back_after_an_error():
    done = run_quietly(
        "try:\n"
        "    with without_chatter():\n"
        "        os.write(2, b'said before it broke\\n')\n"
        "        raise ValueError('broken')\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    assert done.stderr.splitlines() == ["before", "said before it broke", "after"]
    assert done.stdout.splitlines() == ["broken"]


def test_without_standard_output_nothing_is_held():
    done = run_quietly("os.close(1)\nwith without_chatter():\n    os.write(2, b'heard\\n')\n")
    assert done.stderr.splitlines()[:3] == ["before", "heard", "after"]


def test_poisson_of_a_shallow_octree_is_silent():
    code = (
        "import numpy as np\n"
        "from surfora.leaflets.proxy import ProxySettings, poisson_proxy\n"
        "from surfora.geometry.surface import SurfaceMesh\n"
        "import shapes\n"
        "shape = shapes.open_sphere(8.0)\n"
        "vertices, faces = shape.mesh(1.5)\n"
        "mesh = SurfaceMesh(vertices, faces, shape.normals(vertices))\n"
        "for cells in (0.5, 1.0, 4.0, 10.0):\n"
        "    poisson_proxy(mesh, ProxySettings(cell_spacings=cells))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(Path(shapes.__file__).parent)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
