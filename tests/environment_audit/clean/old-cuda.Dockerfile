FROM --platform=linux/amd64 nvidia/cuda:11.8.0-cudnn8-devel-ubuntu20.04
SHELL ["/bin/bash","-c"]
ENV TZ=Etc/UTC
ENV FORCE_CUDA="1"
ENV TORCH_CUDA_ARCH_LIST="Kepler;Kepler+Tesla;Maxwell;Maxwell+Tegra;Pascal;Volta;Turing"
ENV CMAKE_PREFIX_PATH="$(dirname $(which conda))/../"
ENV TORCH_NVCC_FLAGS="-Xfatbin -compress-all"
ENV MMCV_WITH_OPS=1 MAX_JOBS=8 CUDA_HOME=/usr/local/cuda-11.8
ENV IABN_FORCE_CUDA=1 FVCORE_CACHE="/tmp"
ENV CUDNN_VERSION=8.6 NCCL_VERSION=2.15.5-1 CUDA_PKG_VERSION=11-8=11.8
RUN pip install torch==1.13.1+cu116 torchvision -f https://download.pytorch.org/whl/torch_stable.html
ENV NCCL_ASYNC_ERROR_HANDLING=1
