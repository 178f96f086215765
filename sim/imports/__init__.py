"""Obstacles from other people's files: PyBullet's scenes (URDF, SDF) and grids of voxels."""

from sim.imports.files import load_obstacles as load_obstacles
from sim.imports.sdf import obstacles_of_sdf as obstacles_of_sdf
from sim.imports.solids import Tilted as Tilted
from sim.imports.task import world_from as world_from
from sim.imports.urdf import obstacles_of_urdf as obstacles_of_urdf
from sim.imports.voxels import boxes_of_voxels as boxes_of_voxels
from sim.imports.voxels import load_voxels as load_voxels
