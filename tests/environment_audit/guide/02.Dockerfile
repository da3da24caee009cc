# Compilation cache settings
ENV CUDA_CACHE_DISABLE=0
ENV CUDA_CACHE_PATH=/tmp/cuda_cache
ENV CUDA_FORCE_PTX_JIT=0  # Disable PTX JIT, use compiled kernels
ENV CUDA_CACHE_MAXSIZE=2147483648  # 2GB cache limit
