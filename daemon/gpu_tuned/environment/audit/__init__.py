"""`gpu-tunedctl env audit`: what is wrong with the environment of GPU containers, services and processes."""
