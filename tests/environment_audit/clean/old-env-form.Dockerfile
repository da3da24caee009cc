FROM nvidia/cuda:12.8.1-runtime-ubuntu24.04
LABEL org.opencontainers.image.description="x=1 # y"
ENV LANG C.UTF-8
ENV LC_ALL C.UTF-8
ENV NVIDIA_VISIBLE_DEVICES all
ENV NVIDIA_DRIVER_CAPABILITIES compute,utility,video
ENV NVIDIA_REQUIRE_CUDA "cuda>=12.4 brand=tesla,driver>=535,driver<536"
ENV PS1="\[\e[0;32m\]\u@\h\$ "
ENV A=b\ c D='e f' \
# a comment between
    G="h # not a comment"
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN CUDACXX=/usr/local/cuda/bin/nvcc CMAKE_ARGS="-DGGML_CUDA=on -DCMAKE_CUDA_ARCHITECTURES=89" pip install llama-cpp-python --no-cache-dir
CMD python3 -m llama_cpp.server --host 0.0.0.0
