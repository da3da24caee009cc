FROM vllm/vllm-openai:v0.33.0
COPY start.sh /start.sh
ENV VLLM_MODEL=Qwen/Qwen3-8B \
    VLLM_GPU_MEMORY_UTILIZATION=0.9 \
    VLLM_TENSOR_PARALLEL=2
ENTRYPOINT ["/bin/bash", "-c", "vllm serve $VLLM_MODEL --gpu-memory-utilization ${VLLM_GPU_MEMORY_UTILIZATION} -tp ${VLLM_TENSOR_PARALLEL}"]
