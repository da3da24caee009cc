# L2 cache optimization (96MB on RTX 5090)
ENV CUDA_L2_PERSISTING_SIZE=100663296  # Use full 96MB L2

# Optimize memory access patterns
ENV CUDA_DEVICE_MAX_CONNECTIONS=32  # Concurrent kernel connections
ENV CUDA_COPY_SPLIT_THRESHOLD=256   # MB threshold for split copies
