"""Drones, worlds, sensors and missions. Base install: no pybullet, no gymnasium needed here."""

from sim.airframe import CF2X as CF2X
from sim.airframe import Airframe as Airframe
from sim.airframe import AirframeError as AirframeError
from sim.state import State as State
from sim.state import at_rest as at_rest
from sim.state import conjugate as conjugate
from sim.state import normalise as normalise
from sim.state import quaternion_from_yaw as quaternion_from_yaw
from sim.state import quaternion_multiply as quaternion_multiply
from sim.state import rotate as rotate
from sim.state import rotate_inverse as rotate_inverse
from sim.state import rotation_matrix as rotation_matrix
from sim.state import safe_norm as safe_norm
from sim.state import up_of as up_of
from sim.state import yaw_of as yaw_of
from sim.twin import PHYSICS_HZ as PHYSICS_HZ
from sim.twin import TwinState as TwinState
from sim.twin import start as start
from sim.twin import step as step
from sim.twin import wind_force as wind_force
