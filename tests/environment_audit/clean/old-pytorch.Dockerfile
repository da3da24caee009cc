FROM pytorch/pytorch:1.13.1-cuda11.6-cudnn8-runtime
ENV TRANSFORMERS_CACHE=/cache NCCL_ASYNC_ERROR_HANDLING=1
COPY --from=ghcr.io/astral-sh/uv:0.8 /uv /bin/
RUN uv pip install --system "transformers==4.30.2" "huggingface_hub<0.30"
RUN python - <<PY
import os
os.environ["NCCL_DEBUG"] = "LOUD"
PY
CMD ["python","serve.py"]
