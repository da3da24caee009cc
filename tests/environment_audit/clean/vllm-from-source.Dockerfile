# syntax=docker/dockerfile:1.7
ARG CUDA_VERSION=13.0.1
ARG PYTHON_VERSION=3.12
FROM nvidia/cuda:${CUDA_VERSION}-devel-ubuntu24.04 AS build
ARG PYTHON_VERSION
ARG CUDA_ARCHITECTURES="90a;120a"
ARG torch_cuda_arch_list='9.0 12.0+PTX'
ENV TORCH_CUDA_ARCH_LIST=${torch_cuda_arch_list} \
    MAX_JOBS=8 \
    # two at a time is what the builder has room for
    NVCC_THREADS=2 \
    VLLM_TARGET_DEVICE=cuda \
    CMAKE_BUILD_TYPE=Release

ENV CCACHE_DIR=/root/.cache/ccache UV_LINK_MODE=copy
ENV VLLM_COMMIT=3f2a9c5e
RUN --mount=type=cache,target=/root/.cache <<EOF
set -e
export VLLM_INSTALL_PUNICA_KERNELS=0
ENV=prod
git clone --branch $VLLM_COMMIT https://example.org/vllm.git
cmake -DCMAKE_CUDA_ARCHITECTURES="$CUDA_ARCHITECTURES" .
EOF
COPY <<'EOF' /etc/motd
ENV CUDA_CLOCK_CONTROL=1
FROM nowhere
EOF

FROM nvidia/cuda:${CUDA_VERSION}-runtime-ubuntu24.04
LABEL org.opencontainers.image.title="vllm # not a comment"
ENV PATH="/opt/venv/bin:$PATH" LD_LIBRARY_PATH=/usr/local/cuda/lib64:${LD_LIBRARY_PATH}
ENV HF_HOME=/models VLLM_USAGE_SOURCE=production-docker-image
ENV NVIDIA_VISIBLE_DEVICES=all
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENV NVIDIA_REQUIRE_CUDA="cuda>=12.8 brand=unknown,driver>=535,driver<536"
COPY --from=build /opt/venv /opt/venv
VOLUME ["/models"]
ENTRYPOINT ["vllm", "serve"]
