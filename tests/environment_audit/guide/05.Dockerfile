# Enable tensor core usage
ENV CUDA_TENSOR_CORES=1
ENV CUBLAS_WORKSPACE_CONFIG=:4096:8  # Optimal workspace for tensor cores
ENV CUDNN_TENSOR_OPS=1
