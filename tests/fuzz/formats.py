"""Every kind of file that is read, by the names under which the documentation tells of them."""

from fuzz.networks import NETWORKS
from fuzz.particles import PARTICLES
from fuzz.runs import RUNS
from fuzz.surfaces import SURFACES
from fuzz.volumes import VOLUMES

FORMATS = VOLUMES | SURFACES | PARTICLES | RUNS | NETWORKS
