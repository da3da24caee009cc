# CUDA memory pool settings
ENV CUDA_CACHE_DISABLE=0
ENV CUDA_CACHE_PATH=/tmp/cuda_cache
ENV CUDA_CACHE_MAXSIZE=2147483648  # 2GB kernel cache

# PyTorch memory pool for Blackwell 32GB VRAM
ENV PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True,garbage_collection_threshold:0.95,max_split_size_mb:2048

# CUDA allocator configuration
ENV CUDA_ALLOCATOR_BACKEND=cudaMallocAsync
ENV CUDA_MALLOC_ASYNC_POOLS=1
