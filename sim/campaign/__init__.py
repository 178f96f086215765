"""Many missions in many processes, on one machine or on many: the public door.

`terms` says what is flown and what comes of it, `worker` flies one mission, `schedule` hands
missions to workers (`processes` here, `ray_workers` on a cluster), `logbook` keeps results on disk.
"""

from sim.campaign.logbook import Logbook as Logbook
from sim.campaign.logbook import LogbookError as LogbookError
from sim.campaign.run import BACKENDS as BACKENDS
from sim.campaign.run import run_campaign as run_campaign
from sim.campaign.terms import DIED as DIED
from sim.campaign.terms import OVERDUE as OVERDUE
from sim.campaign.terms import MissionName as MissionName
from sim.campaign.terms import Progress as Progress
from sim.campaign.terms import Result as Result
from sim.campaign.terms import Terms as Terms
from sim.campaign.terms import shard as shard
