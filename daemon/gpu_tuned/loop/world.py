"""Every port the loop needs, put together by main."""

from __future__ import annotations

from typing import NamedTuple

from gpu_tuned.loop.policy_in_force import PolicyFiles
from gpu_tuned.ports import Clock, Gpus, Kernel, Mailbox, Say, Service, Store


class World(NamedTuple):
    """`this_boot`: where what is known of this boot's GPUs lies; `lasting`: where the last good policy does.
    `observe`: this process never writes to a GPU, and keeps nothing."""

    gpus: Gpus
    kernel: Kernel
    clock: Clock
    this_boot: Store
    lasting: Store
    service: Service
    mailbox: Mailbox
    say: Say
    policy_files: PolicyFiles
    observe: bool = False
