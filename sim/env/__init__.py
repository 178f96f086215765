"""Gymnasium environments: a drone, a world of obstacles, a target.

    import gymnasium
    import sim.env

    env = gymnasium.make("lnn_nav/Forest-v0", action="velocity", engine="twin")

One id for each family of worlds. `gymnasium.make("sim.env:lnn_nav/Forest-v0")` needs no import of
`sim.env` (gymnasium 1 has no entry points for environments any more, so that is the shortest way).
Every keyword is a field of `EnvConfig`. Of all packages here, this one alone imports gymnasium.
"""

from sim.env.config import EnvConfig as EnvConfig
from sim.env.errors import ActionError as ActionError
from sim.env.errors import ActionTypeError as ActionTypeError
from sim.env.errors import EnvError as EnvError
from sim.env.extras import MissingExtra as MissingExtra
from sim.env.film import record as record
from sim.env.limits import CommandLimits as CommandLimits
from sim.env.parallel import parallel_env as parallel_env
from sim.env.registry import ENV_IDS as ENV_IDS
from sim.env.registry import env_id as env_id
from sim.env.registry import register_all as register_all
from sim.env.reward import Reward as Reward
from sim.env.single import DroneEnv as DroneEnv
from sim.env.vector import TwinVectorEnv as TwinVectorEnv

register_all()
