"""What a drone senses, one sensor a file: rays of any pattern, its own state, inertia, pictures.

Rays are cast in jax (`look`); so are the errors of every sensor (`sim.sensors.errors`). Only
`sim.sensors.camera` needs PyBullet, and is not imported here.
"""

from sim.sensors.blemish import begin_blemish as begin_blemish
from sim.sensors.blemish import blemish as blemish
from sim.sensors.blemish import range_errors as range_errors
from sim.sensors.depth import DepthPattern as DepthPattern
from sim.sensors.depth import depth_pattern as depth_pattern
from sim.sensors.disturbance import CALM as CALM
from sim.sensors.disturbance import Disturbance as Disturbance
from sim.sensors.estimate import EstimateMemory as EstimateMemory
from sim.sensors.estimate import StateErrors as StateErrors
from sim.sensors.estimate import begin_estimate as begin_estimate
from sim.sensors.estimate import estimate as estimate
from sim.sensors.fan import RayFan as RayFan
from sim.sensors.fan import sphere_points as sphere_points
from sim.sensors.imu import Inertial as Inertial
from sim.sensors.imu import inertial as inertial
from sim.sensors.imu import inertial_between as inertial_between
from sim.sensors.rays import Rays as Rays
from sim.sensors.rays import multiranger as multiranger
from sim.sensors.rings import RayPattern as RayPattern
from sim.sensors.rings import lidar_ring as lidar_ring
from sim.sensors.sight import Sight as Sight
from sim.sensors.sight import look as look
