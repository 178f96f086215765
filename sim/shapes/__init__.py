"""Solids that distances and rays are exact for: one shape a file.

Each file holds the shape as people write it (a frozen dataclass) and as the machine reads it (a
struct of arrays, padded to a fixed count), with two methods: `distances` of points and `entries`
of rays. They take numpy arrays and jax arrays alike.
"""

from sim.shapes.box import Box as Box
from sim.shapes.box import Boxes as Boxes
from sim.shapes.cylinder import Cylinder as Cylinder
from sim.shapes.cylinder import Cylinders as Cylinders
from sim.shapes.distance import Obstacle as Obstacle
from sim.shapes.distance import balls_around as balls_around
from sim.shapes.distance import distances_of as distances_of
from sim.shapes.sphere import Sphere as Sphere
from sim.shapes.sphere import Spheres as Spheres
