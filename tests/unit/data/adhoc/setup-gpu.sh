#!/bin/bash
set -e

echo "Configuring RTX 5090 for optimal AI inference..."

# Enable persistence mode
sudo nvidia-smi -pm 1

# Set maximum power limit (600W for RTX 5090)
sudo nvidia-smi -pl 600

# Lock GPU clocks for consistency
sudo nvidia-smi -lgc 2400,2550
sudo nvidia-smi -lmc 3002

# Set compute mode
sudo nvidia-smi -c EXCLUSIVE_PROCESS

# Disable NUMA balancing
echo 0 | sudo tee /proc/sys/kernel/numa_balancing

# Create CUDA cache directory
sudo mkdir -p /tmp/cuda_cache
sudo chmod 1777 /tmp/cuda_cache

echo "GPU optimization complete!"

# Verify settings
nvidia-smi -q | grep -E "Persistence Mode|Power Limit|Compute Mode"
