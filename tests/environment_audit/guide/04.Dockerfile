# MPS configuration for multi-container GPU sharing
ENV CUDA_MPS_PIPE_DIRECTORY=/tmp/nvidia-mps
ENV CUDA_MPS_LOG_DIRECTORY=/tmp/nvidia-log
ENV CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=100
