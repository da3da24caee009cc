FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=off PIP_DISABLE_PIP_VERSION_CHECK=on POETRY_VERSION=1.8.3
ENV UVICORN_WORKERS=2 \
	GUNICORN_CMD_ARGS="--bind=0.0.0.0:8000 --timeout 120"

RUN pip install torch==2.9.0 --index-url https://download.pytorch.org/whl/cu128 && \
    pip install "transformers>=4.56,<5" accelerate
ENV TRANSFORMERS_CACHE=/data/hf
ENV TOKENIZERS_PARALLELISM=true
CMD ["gunicorn", "app:app"]
