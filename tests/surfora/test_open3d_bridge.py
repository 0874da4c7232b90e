"""Open3D loads on a machine without libusb, in a process that imported nothing else."""

import subprocess
import sys


def test_open3d_loads_in_a_fresh_process():
    code = (
        "from surfora.open3d_bridge import import_open3d\n"
        "o3d = import_open3d()\n"
        "assert import_open3d() is o3d\n"
        "sphere = o3d.geometry.TriangleMesh.create_sphere()\n"
        "print(len(sphere.sample_points_uniformly(100).points))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "100"
