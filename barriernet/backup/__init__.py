"""Barriers built on a backup: a control that is always there to fall back on, and kept possible.

For bodies that brake (double integrators, with or without lag) everything is in closed form:
`braking` says where the backup goes, `rows` turns that into two sampled rows an obstacle. Any
other system brings its own dynamics, backup and barrier: `flow`.
"""

from barriernet.backup.anchored import anchored_control as anchored_control
from barriernet.backup.anchored_body import AnchoredBraking as AnchoredBraking
from barriernet.backup.braking import Braking as Braking
from barriernet.backup.braking import Motion as Motion
from barriernet.backup.braking import brake_control as brake_control
from barriernet.backup.braking import distance_to_path as distance_to_path
from barriernet.backup.braking import hold_control as hold_control
from barriernet.backup.braking import motion_of as motion_of
from barriernet.backup.braking import next_motion as next_motion
from barriernet.backup.braking import stop_point as stop_point
from barriernet.backup.draw_back import draw_back as draw_back
from barriernet.backup.flaws import BackupFlaws as BackupFlaws
from barriernet.backup.flaws import backup_flaws as backup_flaws
from barriernet.backup.flow import BackupFlow as BackupFlow
from barriernet.backup.flow import FlowRows as FlowRows
from barriernet.backup.flow_control import backup_control as backup_control
from barriernet.backup.held import held_over_ticks as held_over_ticks
from barriernet.backup.report import BackupReport as BackupReport
from barriernet.backup.rows import PathRows as PathRows
from barriernet.backup.rows import join_rows as join_rows
from barriernet.backup.rows import path_barrier as path_barrier
from barriernet.backup.rows import path_rows as path_rows
from barriernet.backup.rows import plane_rows as plane_rows
from barriernet.backup.tube import Tube as Tube
