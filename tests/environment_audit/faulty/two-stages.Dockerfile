FROM pytorch/pytorch:2.9.0-cuda12.8-cudnn9-devel AS build
ARG TORCH_CUDA_ARCH_LIST="sm_120"
RUN pip wheel .
FROM pytorch/pytorch:2.9.0-cuda12.8-cudnn9-runtime
ENV PYTORCH_CUDA_ALLOC_CONF="expandable_segments:True,max_split_size_mb:128" \
    CUDA_LAUNCH_BLOCKING=1 \
    NVIDIA_DRIVER_CAPABILITIES=utility
ENV PYTHON_UNBUFFERED=1
