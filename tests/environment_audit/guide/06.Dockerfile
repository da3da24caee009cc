# Build flags for Blackwell
ENV CUDA_ARCHITECTURES=120
ENV TORCH_CUDA_ARCH_LIST="12.0"
ENV CUDAFLAGS="-O3 --use_fast_math -arch=sm_120 --extra-device-vectorization"
ENV NVCC_FLAGS="-gencode arch=compute_120,code=sm_120"
