"""`gpu-tunedctl doctor`: what on this host keeps its GPUs from running as they could.

    examine.py     all checks, in order
    pcie.py        link width and generation, errors, BARs
    driver.py      which driver is loaded, installed, built, allowed
    boards.py      GPUs expected and seen, persistence, heat, what is held down from outside
    services.py    services side by side, start order, limits, leftovers, MPS
    containers.py  runtime mode, toolkit, CDI
    memory.py      memory nodes, IOMMU and ACS
    events.py      Xids of this boot
    inside.py      one container, seen from within
    reference.py   what a healthy board of a model is, as data

A check is a function from `HostView` to one `Finding`. It says ok only of what it saw.
"""
