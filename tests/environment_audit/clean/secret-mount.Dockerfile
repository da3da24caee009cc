ARG BASE=vllm/vllm-openai:v0.33.0
FROM ${BASE}
ARG HF_TOKEN
ARG MODEL=Qwen/Qwen3-8B
ENV MODEL=$MODEL
ENV HF_HOME=/models
RUN --mount=type=secret,id=hf,env=HF_TOKEN huggingface-cli download $MODEL
COPY entrypoint.sh /
ENTRYPOINT ["/entrypoint.sh"]
