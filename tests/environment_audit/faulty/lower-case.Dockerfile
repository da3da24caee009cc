from vllm/vllm-openai:v0.33.0
env VLLM_USE_V1=1 \
    # note
    VLLM_SWAP_SPACE_GB=4
onbuild env VLLM_PREEMPTION_MODE=swap
