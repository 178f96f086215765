"""PyBullet as an engine, and what is needed to build in a server of it.

The only package that imports `pybullet`; others take it from here.
"""

import pybullet as pybullet

from sim.bullet.build import add_obstacles as add_obstacles
from sim.bullet.build import build as build
from sim.bullet.build import connect as connect
from sim.bullet.build import disconnect as disconnect
from sim.bullet.build import load_airframe as load_airframe
from sim.bullet.engine import BulletEngine as BulletEngine
from sim.bullet.movers import Movers as Movers
from sim.bullet.movers import movers_of as movers_of
