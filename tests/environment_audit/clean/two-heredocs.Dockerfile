FROM vllm/vllm-openai:v0.33.0
RUN cat > /etc/profile.d/x.sh <<'A' && cat > /b <<B
export NCCL_DEBUG=LOUD
A
FROM nowhere
B
ENV HF_HUB_OFFLINE=0
CMD ["--model", "x"]
