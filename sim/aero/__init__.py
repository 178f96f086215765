"""What the air does to a quadrotor beyond the engine's damping: one effect a file.

Each is a pure function of numpy arrays or jax arrays, any batch dimensions, and follows the dtype
of its first array. Formulas and constants are those of gym-pybullet-drones (`PYB_DRAG`, `PYB_GND`,
`PYB_DW`); `sim.physics` puts them together as it does, quirks included.
"""

from sim.aero.downwash import downwash_force as downwash_force
from sim.aero.drag import drag_force as drag_force
from sim.aero.ground_effect import ground_effect_forces as ground_effect_forces
