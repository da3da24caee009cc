ARG UBUNTU_VERSION=24.04
ARG CUDA_VERSION=13.0.1
ARG BASE_CUDA_DEV_CONTAINER=nvidia/cuda:${CUDA_VERSION}-devel-ubuntu${UBUNTU_VERSION}
FROM ${BASE_CUDA_DEV_CONTAINER} AS build
# CUDA architecture to build for (defaults to all supported archs)
ARG CUDA_DOCKER_ARCH=default
ARG GGML_CUDA_FA_ALL_QUANTS=ON
ENV CMAKE_ARGS="-DGGML_CUDA=ON -DLLAMA_BUILD_TESTS=OFF"
ENV GGML_CUDA=1
RUN if [ "${CUDA_DOCKER_ARCH}" != "default" ]; then \
    export CMAKE_ARGS="-DCMAKE_CUDA_ARCHITECTURES=${CUDA_DOCKER_ARCH}"; \
    fi && \
    cmake -B build -DGGML_NATIVE=OFF ${CMAKE_ARGS} . && \
    cmake --build build --config Release -j$(nproc)
FROM nvidia/cuda:${CUDA_VERSION}-runtime-ubuntu${UBUNTU_VERSION} AS server
ENV LLAMA_ARG_HOST=0.0.0.0
ENV LLAMA_ARG_N_GPU_LAYERS=999 \
    LLAMA_ARG_SPEC_DRAFT_N_MAX=8 LLAMA_ARG_THREADS=8 LLAMA_ARG_MODELS_DIR=/models
COPY --from=build /app/full/llama-server /app
HEALTHCHECK CMD [ "curl", "-f", "http://localhost:8080/health" ]
ENTRYPOINT [ "/app/llama-server" ]
