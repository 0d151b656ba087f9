"""FireAct: fine-tune language agents on the trajectories of a stronger one."""

import logging

from fireact import moved

# bitsandbytes warns at import of an optional CPU kernel (bfloat16, fetched from a hub) that FireAct never uses.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
moved.follow()
