FROM pytorch/pytorch:2.9.1-cuda13.0-cudnn9-runtime
ENV DEBIAN_FRONTEND noninteractive
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=off PYTHONPATH="/app:${PYTHONPATH}"
ENV TORCH_HOME=/models/torch XDG_CACHE_HOME=/models
ENV WHISPER_MODEL=large-v3 ASR_ENGINE=faster_whisper
ENV OMP_NUM_THREADS=4 CT2_CUDA_ALLOCATOR=cuda_malloc_async
RUN export DEBIAN_FRONTEND=noninteractive && apt-get update && apt-get install -y ffmpeg
WORKDIR /app
COPY . .
CMD ["gunicorn", "--bind", "0.0.0.0:9000", "--workers", "1", "app:app"]
